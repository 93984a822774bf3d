# shellcheck shell=bash
# The names, places and addresses of one cluster. Everything follows from its name and its index.

POD_CIDR=10.244.0.0/16
SERVICE_CIDR=10.96.0.0/16
KUBERNETES_SERVICE_IP=10.96.0.1
CLUSTER_DNS_IP=10.96.0.10
CLUSTER_DOMAIN=cluster.local
DEFAULT_NODE=farlet-0

# use_cluster NAME: sets the variables that depend on the name only.
use_cluster() {
  # No dash: the names of nodes are appended with one, and dev-2's groups must not look like dev's.
  [[ $1 =~ ^[a-z][a-z0-9]{0,19}$ ]] ||
    usage_error "cluster name '$1' must be 1 to 20 lower-case letters and digits, a letter first"
  CLUSTER=$1
  STATE=$FARLET_STATE_ROOT/$CLUSTER
  RUN=$FARLET_RUN_ROOT/$CLUSTER
  LOGS=$STATE/log
  PKI=$STATE/pki
  NETNS=farlet-$CLUSTER
  ADMIN_KUBECONFIG=$STATE/admin.kubeconfig
  if [[ -s $STATE/index ]]; then use_index "$(<"$STATE/index")"; fi
}

use_index() {
  INDEX=$1
  HOST_LINK=flt$INDEX
  HOST_IP=198.18.$INDEX.1
  CLUSTER_IP=198.18.$INDEX.2
  API_SERVER=https://$CLUSTER_IP:6443
}

# require_cluster: for commands that work on a cluster that is up.
require_cluster() {
  [[ -n ${INDEX:-} && -s $ADMIN_KUBECONFIG ]] ||
    die "there is no cluster named $CLUSTER (no $ADMIN_KUBECONFIG); make it with: $LOCAL_DIR/up --name $CLUSTER"
}

# create_state: the directories, and an index that no other cluster and no route of the host uses.
create_state() {
  mkdir -p "$FARLET_STATE_ROOT" "$FARLET_RUN_ROOT"
  (
    flock 8
    mkdir -p "$STATE" "$LOGS" "$STATE/nodes" "$RUN/pid"
    chmod 0711 "$STATE"
    [[ -s $STATE/index ]] || free_index >"$STATE/index"
  ) 8<"$FARLET_STATE_ROOT"
  use_index "$(<"$STATE/index")"
}

free_index() {
  local index
  for index in {1..254}; do
    grep -qsx "$index" "$FARLET_STATE_ROOT"/*/index && continue
    [[ -z $(ip -4 route show root "198.18.$index.0/24") ]] || continue
    ip link show "flt$index" >/dev/null 2>&1 && continue
    echo "$index"
    return
  done
  die "no free subnet left in 198.18.0.0/16"
}

# lock_cluster: up, down and node changes of one cluster follow one another. The descriptor is closed in
# every process that is started, so that only this script holds the lock.
lock_cluster() {
  local file=/run/lock/farlet-local-$CLUSTER
  mkdir -p /run/lock
  exec 7>"$file"
  flock -n 7 && return
  detail "another command is working on cluster $CLUSTER; waiting for it"
  flock -w 900 7 || die "another command has held $file for 15 minutes (fuser $file tells which)"
}

# kube_binary NAME: from --kube-binaries as it was given to up, or from the cache.
kube_binary() {
  if [[ -s $STATE/kube-binaries ]]; then
    echo "$(<"$STATE/kube-binaries")/$1"
  else
    cached_binary "$1"
  fi
}

kubectl() { "$(kube_binary kubectl)" --kubeconfig "$ADMIN_KUBECONFIG" "$@"; }

# in_net COMMAND...: inside the cluster's network namespace. Not `ip netns exec`, which gives the
# command a mount namespace of its own with a fresh /sys: the cgroups would be gone from it, and
# what containerd mounts would not be seen on the host.
in_net() { nsenter --net="/run/netns/$NETNS" -- "$@"; }

# render FILE KEY=VALUE...: a template with @KEY@ replaced.
render() {
  local file=$1 pair script=()
  shift
  for pair in "$@"; do script+=(-e "s|@${pair%%=*}@|${pair#*=}|g"); done
  sed "${script[@]}" "$file"
}

# write_file FILE: standard input, in place at once.
write_file() {
  local file=$1
  mkdir -p "$(dirname "$file")"
  cat >"$file.new"
  mv -f "$file.new" "$file"
}
