# shellcheck shell=bash
# The two agents that a node can have: farlet, and a real kubelet of the cluster's release.
# The variables NODE_* are set by read_node (lib/node.sh).

kubelet_binary() { kube_binary kubelet; }

farlet_build() { echo "$REPO_DIR/build/release/provider/app/farlet"; }

# as_owner COMMAND...: what is made in the checkout belongs to whom the checkout belongs to.
as_owner() {
  local owner
  owner=$(stat -c %U "$REPO_DIR")
  if [[ $owner == root || $owner == UNKNOWN ]]; then
    "$@"
    return
  fi
  runuser -u "$owner" -- env HOME="$(getent passwd "$owner" | cut -d: -f6)" "$@"
}

# compile_targets TARGET...: the lock is for the build that a killed `up` has left behind: two must not work in one folder.
compile_targets() {
  cd "$REPO_DIR" || exit
  as_owner mkdir -p build
  exec 9<build
  flock 9
  as_owner cmake --preset release
  as_owner cmake --build --preset release --target "$@"
}

build_farlet() {
  run_logged "building farlet" "$FARLET_CACHE/log/build-farlet.log" compile_targets farlet
  [[ -x $(farlet_build) ]] || fail_with_log "the build left no $(farlet_build)" "$FARLET_CACHE/log/build-farlet.log"
}

# install_farlet [BINARY]: the cluster runs a copy, so that a build does not disturb it. An agent that
# runs an older copy is ended; starting it again adopts its pods.
install_farlet() {
  local source=${1:-} target=$STATE/bin/farlet name
  [[ -n $source ]] || source=$(farlet_build)
  cmp -s "$source" "$target" && return
  mkdir -p "$STATE/bin"
  install -m 0755 "$source" "$target.new"
  mv -f "$target.new" "$target"
  for name in $(nodes_of_kind farlet); do
    process_alive "node-$name" || continue
    detail "farlet has changed: restarting the agent of $name"
    stop_processes 20 "node-$name"
  done
}

start_farlet_agent() {
  [[ -x $STATE/bin/farlet ]] || install_farlet ""
  # The handler is quoted as YAML: an empty one means the runtime's default.
  render "$LOCAL_DIR/manifests/farlet-node.yaml" "NODE=$NODE" "NODE_IP=$NODE_IP" "DIR=$NODE_DIR" \
    "BOOTSTRAP=$STATE/bootstrap.kubeconfig" "SOCKET=$(containerd_socket "$NODE_CONTAINERD")" \
    "HANDLER=$NODE_HANDLER" "CNI=$(cni_conf_dir "$NODE_CONTAINERD")" "DNS=$CLUSTER_DNS_IP" \
    "DOMAIN=$CLUSTER_DOMAIN" "CA=$PKI/ca.crt" "CGROUP=$(node_cgroup "$NODE")" \
    "RESOLV_CONF=$STATE/resolv.conf" | write_file "$NODE_DIR/config.yaml"
  start_process "node-$NODE" "$NODE_NETNS" "$STATE/bin/farlet" node --config "$NODE_DIR/config.yaml"
}

start_kubelet_agent() {
  local kubelet
  kubelet=$(kubelet_binary)
  [[ -x $kubelet ]] || die "no kubelet at $kubelet; make it with: $LOCAL_DIR/build-kube --only-kubelet"
  save_sysctls
  render "$LOCAL_DIR/manifests/kubelet.yaml" "NODE=$NODE" "NODE_IP=$NODE_IP" "DIR=$NODE_DIR" \
    "SOCKET=$(containerd_socket "$NODE_CONTAINERD")" "DNS=$CLUSTER_DNS_IP" "DOMAIN=$CLUSTER_DOMAIN" \
    "CA=$PKI/ca.crt" "CGROUP=$(node_cgroup "$NODE")" "RESOLV_CONF=$STATE/resolv.conf" |
    write_file "$NODE_DIR/config.yaml"
  start_process "node-$NODE" "$NODE_NETNS" "$kubelet" --config="$NODE_DIR/config.yaml" \
    --kubeconfig="$NODE_DIR/kubeconfig" --bootstrap-kubeconfig="$STATE/bootstrap.kubeconfig" \
    --cert-dir="$NODE_DIR/pki" --root-dir="$NODE_DIR/root" --hostname-override="$NODE" --node-ip="$NODE_IP"
}

has_pod_cidr() { [[ -n $(kubectl get node "$1" -o 'jsonpath={.spec.podCIDR}') ]]; }

# write_cni NODE: a kubelet leaves the pods' network to others; farlet writes its own.
write_cni() {
  local dir cidr
  dir=$(cni_conf_dir "$NODE_CONTAINERD")
  wait_ready "node-$NODE" 60 has_pod_cidr "$NODE"
  cidr=$(kubectl get node "$NODE" -o 'jsonpath={.spec.podCIDR}')
  render "$LOCAL_DIR/manifests/cni.conflist" "NODE=$NODE" "CIDR=$cidr" "DATA=$NODE_DIR/cni" |
    write_file "$dir/10-kubelet.conflist"
}

# The settings of the machine that a kubelet changes. They are kept by the first one and put back when the last
# one is gone.
KUBELET_SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
  kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

save_sysctls() {
  local key
  [[ -e $FARLET_RUN_ROOT/.sysctls ]] && return
  for key in "${KUBELET_SYSCTLS[@]}"; do
    if [[ -e /proc/sys/${key//./\/} ]]; then echo "$key=$(sysctl -n "$key")"; fi
  done | write_file "$FARLET_RUN_ROOT/.sysctls"
}

restore_sysctls() {
  local saved=$FARLET_RUN_ROOT/.sysctls
  [[ -s $saved ]] || return 0
  grep -qsx kubelet "$FARLET_STATE_ROOT"/*/nodes/*/kind && return
  sysctl -q -p "$saved" && rm -f "$saved"
}

# forget_kubelet_paths: the folders of the machine that a kubelet uses whatever its root is. Links to the
# logs of pods that are gone dangle.
forget_kubelet_paths() {
  local link
  for link in /var/log/containers/*; do
    if [[ -L $link && $(readlink "$link") == "$STATE"/* ]]; then rm -f "$link"; fi
  done
  grep -qsx kubelet "$FARLET_STATE_ROOT"/*/nodes/*/kind && return
  rmdir /var/log/containers 2>/dev/null || true
  [[ -d /var/lib/kubelet && ! -e /var/lib/kubelet/config.yaml ]] || return 0
  rm -f /var/lib/kubelet/device-plugins/{kubelet.sock,DEPRECATION,kubelet_internal_checkpoint}
  rmdir /var/lib/kubelet/device-plugins /var/lib/kubelet 2>/dev/null || true
}
