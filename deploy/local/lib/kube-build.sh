# shellcheck shell=bash
# Builds the control plane from Go modules into the cache. Each binary is put in place by a rename
# as soon as it is built, so a build that was killed goes on where it stopped.

# The API server comes first: it compiles most of what the others share.
KUBE_COMMANDS=(kube-apiserver kube-controller-manager kube-scheduler kubectl kube-proxy)

# cached_binary NAME: the place of a binary in the cache, by the version it belongs to.
cached_binary() {
  case $1 in
    etcd) echo "$FARLET_CACHE/etcd/$ETCD_VERSION/etcd" ;;
    coredns) echo "$FARLET_CACHE/coredns/$COREDNS_VERSION/coredns" ;;
    helm) echo "$FARLET_CACHE/helm/$HELM_VERSION/helm" ;;
    critest) echo "$FARLET_CACHE/critest/$CRITEST_VERSION/critest" ;;
    containerd | containerd-shim-runc-v2) echo "$FARLET_CACHE/containerd/$CONTAINERD_VERSION/$1" ;;
    *) echo "$FARLET_CACHE/kube/$KUBE_VERSION/$1" ;;
  esac
}

# find_go: puts a usable go first on PATH. sudo's secure_path lacks the usual places of a Go that is there.
find_go() {
  local go
  go=$(usable_go) || die "no Go of version 1.21 or later found; run $LOCAL_DIR/install first"
  PATH=$(dirname "$go"):$PATH
  # An older Go fetches the toolchain that the modules ask for.
  export GOTOOLCHAIN=auto GOFLAGS=-mod=mod CGO_ENABLED=0
  export HOME=${HOME:-/root}
}

# write_replaces MODFILE: k8s.io/kubernetes points its staging modules into its own tree, which a module
# that depends on it does not inherit. The list is read out of the go.mod that was downloaded.
write_replaces() {
  local modfile=$1 staging=${KUBE_VERSION/v1./v0.} source name
  source=$(go mod download -json "k8s.io/kubernetes@$KUBE_VERSION" | jq -r .GoMod)
  go mod edit -json "$source" |
    jq -r '.Replace[] | select(.New.Path | startswith("./staging/")) | .Old.Path' |
    while read -r name; do
      case $name in k8s.io/sample-cli-plugin | k8s.io/sample-controller) continue ;; esac
      go mod edit -replace "$name=$name@$staging" "$modfile"
    done
}

# prepare_module DIR REQUIREMENT IMPORT...: a small module of our own that pulls in the packages to build.
prepare_module() {
  local dir=$1 requirement=$2 package
  shift 2
  [[ -e $dir/ready ]] && return
  rm -rf "$dir"
  mkdir -p "$dir"
  cd "$dir" || exit
  go mod init farlet.dev/local/build
  go mod edit -require "$requirement"
  [[ $requirement != k8s.io/kubernetes@* ]] || write_replaces go.mod
  {
    printf '//go:build tools\n\npackage build\n\nimport (\n'
    for package in "$@"; do printf '\t_ "%s"\n' "$package"; done
    printf ')\n'
  } >tools.go
  go mod tidy
  touch ready
}

prepare_kube_module() {
  local name packages=()
  for name in "${KUBE_COMMANDS[@]}" kubelet; do packages+=("k8s.io/kubernetes/cmd/$name"); done
  prepare_module "$1" "k8s.io/kubernetes@$KUBE_VERSION" "${packages[@]}"
}

# kube_ldflags: without the version the server calls itself v0.0.0-master and clients complain.
kube_ldflags() {
  local package minor=${KUBE_VERSION#v1.}
  printf -- '-s -w'
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- ' -X %s.gitVersion=%s -X %s.gitMajor=1' "$package" "$KUBE_VERSION" "$package"
    printf -- ' -X %s.gitMinor=%s -X %s.gitTreeState=clean' "$package" "${minor%%.*}" "$package"
  done
}

# helm_ldflags: without the cluster's version, charts are rendered for a Kubernetes of long ago.
helm_ldflags() {
  local package minor=${KUBE_VERSION#v1.}
  printf -- '-s -w -X helm.sh/helm/v3/internal/version.version=%s' "$HELM_VERSION"
  for package in chartutil lint/rules; do
    printf -- ' -X helm.sh/helm/v3/pkg/%s.k8sVersionMajor=1' "$package"
    printf -- ' -X helm.sh/helm/v3/pkg/%s.k8sVersionMinor=%s' "$package" "${minor%%.*}"
  done
}

# compile DIR PACKAGE LDFLAGS TARGET [VERB...]: VERB is what go is told to do, `build` unless it is said.
compile() {
  local dir=$1 package=$2 ldflags=$3 target=$4
  shift 4
  (($#)) || set -- build
  mkdir -p "$(dirname "$target")"
  (cd "$dir" && go "$@" -trimpath -ldflags "$ldflags" -o "$target.tmp" "$package")
  mv -f "$target.tmp" "$target"
}

# build_critest DIR: the suite is the test of a package without any other file, which no module can import: what it
# uses of its own module is named instead.
build_critest() {
  local module=sigs.k8s.io/cri-tools
  prepare_module "$1" "$module@$CRITEST_VERSION" "$module"/pkg/{benchmark,common,framework,validate}
  compile "$1" "$module/cmd/critest" '-s -w' "$(cached_binary critest)" test -c
}

# containerd_ldflags: it names its shims' version in answers.
containerd_ldflags() { printf -- '-s -w -X github.com/containerd/containerd/v2/version.Version=%s' "${CONTAINERD_VERSION#v}"; }

# build_containerd DIR NAME
build_containerd() {
  local module=github.com/containerd/containerd/v2
  prepare_module "$1" "$module@$CONTAINERD_VERSION" "$module"/cmd/{containerd,containerd-shim-runc-v2}
  compile "$1" "$module/cmd/$2" "$(containerd_ldflags)" "$(cached_binary "$2")"
}

build_binary() {
  local name=$1 build=$FARLET_CACHE/build
  case $name in
    etcd)
      prepare_module "$build/etcd-$ETCD_VERSION" "go.etcd.io/etcd/server/v3@$ETCD_VERSION" go.etcd.io/etcd/server/v3
      compile "$build/etcd-$ETCD_VERSION" go.etcd.io/etcd/server/v3 '-s -w' "$(cached_binary etcd)"
      ;;
    coredns)
      prepare_module "$build/coredns-$COREDNS_VERSION" "github.com/coredns/coredns@$COREDNS_VERSION" \
        github.com/coredns/coredns
      compile "$build/coredns-$COREDNS_VERSION" github.com/coredns/coredns '-s -w' "$(cached_binary coredns)"
      ;;
    helm)
      prepare_module "$build/helm-$HELM_VERSION" "helm.sh/helm/v3@$HELM_VERSION" helm.sh/helm/v3/cmd/helm
      compile "$build/helm-$HELM_VERSION" helm.sh/helm/v3/cmd/helm "$(helm_ldflags)" "$(cached_binary helm)"
      ;;
    critest) build_critest "$build/critest-$CRITEST_VERSION" ;;
    containerd | containerd-shim-runc-v2) build_containerd "$build/containerd-$CONTAINERD_VERSION" "$name" ;;
    *)
      prepare_kube_module "$build/kube-$KUBE_VERSION"
      compile "$build/kube-$KUBE_VERSION" "k8s.io/kubernetes/cmd/$name" "$(kube_ldflags)" "$(cached_binary "$name")"
      ;;
  esac
}

# build_binaries NAME...: those that the cache lacks, one after the other.
build_binaries() {
  local name missing=() index=0
  for name in "$@"; do [[ -x $(cached_binary "$name") ]] || missing+=("$name"); done
  if ((${#missing[@]} == 0)); then
    detail "all ${#} in the cache ($FARLET_CACHE)"
    return
  fi
  find_go
  mkdir -p "$FARLET_CACHE/log"
  exec 9>"$FARLET_CACHE/build.lock"
  flock -n 9 || { detail "another build is running; waiting for it"; flock 9; }
  for name in "${missing[@]}"; do
    index=$((index + 1))
    [[ -x $(cached_binary "$name") ]] && continue
    step "building $name ($index of ${#missing[@]}) from its Go module"
    run_logged "building $name" "$FARLET_CACHE/log/build-$name.log" build_binary "$name"
  done
  exec 9>&-
}
