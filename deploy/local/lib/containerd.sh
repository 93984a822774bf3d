# shellcheck shell=bash
# A containerd of the cluster's own. ID is `main` for the one in the cluster's namespace, and a node's
# name for that of a further node.

MIRRORED_REGISTRIES=(docker.io registry.k8s.io quay.io ghcr.io gcr.io k8s.gcr.io)
SANDBOX_IMAGE=registry.k8s.io/pause:3.10

containerd_socket() { echo "$RUN/containerd/$1/containerd.sock"; }
containerd_state() { echo "$STATE/containerd/$1"; }
cni_conf_dir() { echo "$STATE/containerd/$1/cni"; }

# write_mirrors ID REGISTRY_HOST: every name is answered by the cluster's registry and by nothing else, so
# an image that is not there fails at once and in the same way on every machine.
write_mirrors() {
  local dir registry
  dir=$(containerd_state "$1")/certs.d
  for registry in "${MIRRORED_REGISTRIES[@]}"; do
    printf 'server = "http://%s:5000"\n[host."http://%s:5000"]\n  capabilities = ["pull", "resolve"]\n' "$2" "$2" |
      write_file "$dir/$registry/hosts.toml"
  done
  for registry in 5000 5001; do
    printf 'server = "http://%s:%s"\n' "$2" "$registry" | write_file "$dir/127.0.0.1:$registry/hosts.toml"
    printf 'server = "http://%s:%s"\n' "$2" "$registry" | write_file "$dir/$CLUSTER_IP:$registry/hosts.toml"
  done
}

# containerd_path: where containerd and its shims are looked for; the cluster's own first.
containerd_path() {
  local binaries=$STATE/containerd-binaries
  if [[ -e $binaries ]]; then echo "$STATE/bin:$(<"$binaries"):$PATH"; else echo "$STATE/bin:$PATH"; fi
}

# start_containerd ID NETNS REGISTRY_HOST
start_containerd() {
  local id=$1 netns=$2 config=$STATE/containerd/$1/config.toml socket path
  path=$(containerd_path)
  socket=$(containerd_socket "$id")
  mkdir -p "$(cni_conf_dir "$id")" "$RUN/containerd/$id"
  write_mirrors "$id" "$3"
  render "$LOCAL_DIR/manifests/containerd.toml" "STATE=$(containerd_state "$id")" "RUN=$RUN/containerd/$id" \
    "SANDBOX_IMAGE=$SANDBOX_IMAGE" "VM_CONFIG=$STATE/vm.yaml" | write_file "$config"
  # It looks for its shims on the path.
  start_process "containerd-$id" "$netns" env "PATH=$path" "$(PATH=$path command -v containerd)" --config "$config"
  wait_ready "containerd-$id" 60 cluster_ctr "$id" version
}

cluster_ctr() {
  local id=$1
  shift
  ctr --address "$(containerd_socket "$id")" --namespace k8s.io "$@"
}

# pull_sandbox_image ID: so that the first pod does not wait for it.
pull_sandbox_image() {
  [[ -z $(cluster_ctr "$1" images list -q "name==$SANDBOX_IMAGE") ]] || return 0
  nsenter --net="/run/netns/$2" -- ctr --address "$(containerd_socket "$1")" --namespace k8s.io images pull \
    --hosts-dir "$(containerd_state "$1")/certs.d" "$SANDBOX_IMAGE" >"$LOGS/pull-sandbox-image.log" 2>&1 ||
    fail_with_log "pulling $SANDBOX_IMAGE failed" "$LOGS/pull-sandbox-image.log"
}
