# shellcheck shell=bash
# Nodes of a cluster. `shared`: the agent works in the cluster's namespace on the cluster's containerd, one
# agent at a time. `own`: a namespace, a containerd and a kube-proxy of the node's own.

check_node_name() {
  [[ $1 =~ ^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$ ]] ||
    usage_error "node name '$1' must be 1 to 32 lower-case letters, digits and dashes"
}

nodes_of_kind() {
  local dir
  for dir in "$STATE"/nodes/*/; do
    if [[ -s $dir/kind && $(<"$dir/kind") == "$1" ]]; then basename "$dir"; fi
  done
}

# read_node NODE: what add_node has kept.
read_node() {
  NODE=$1
  NODE_DIR=$STATE/nodes/$NODE
  [[ -s $NODE_DIR/kind && -s $NODE_DIR/placement ]] || return 1
  NODE_KIND=$(<"$NODE_DIR/kind")
  NODE_HANDLER=$(cat "$NODE_DIR/handler" 2>/dev/null || true)
  if [[ $(<"$NODE_DIR/placement") == shared ]]; then
    NODE_CONTAINERD=main NODE_NETNS=$NETNS NODE_IP=$CLUSTER_IP
  else
    NODE_SLOT=$(<"$NODE_DIR/slot")
    NODE_CONTAINERD=$NODE NODE_NETNS=$NETNS-$NODE NODE_IP=198.18.$INDEX.$NODE_SLOT
  fi
}

# free_slot: the last byte of a further node's address.
free_slot() {
  local slot
  for slot in {10..99}; do
    grep -qsx "$slot" "$STATE"/nodes/*/slot || { echo "$slot" && return; }
  done
  die "cluster $CLUSTER has no address left for another node"
}

# add_node NODE KIND shared|own HANDLER
add_node() {
  local name=$1 dir=$STATE/nodes/$1
  if read_node "$name" && [[ $NODE_KIND != "$2" ]]; then
    die "node $name exists already, with a $NODE_KIND; remove it first"
  fi
  [[ $3 == own ]] || other_agents_stopped "$name"
  mkdir -p "$dir"/{root,pki,pods-log,static-pods}
  echo "$4" >"$dir/handler"
  [[ -s $dir/placement ]] || echo "$3" >"$dir/placement"
  [[ $3 == shared || -s $dir/slot ]] || free_slot | write_file "$dir/slot"
  echo "$2" | write_file "$dir/kind"
  start_node "$name"
}

start_node() {
  read_node "$1" || die "cluster $CLUSTER has no node $1 (its nodes: $(ls "$STATE/nodes"))"
  if [[ $NODE_CONTAINERD == main ]]; then other_agents_stopped "$NODE"; else start_own_machine; fi
  create_cgroup "$(node_cgroup "$NODE")"
  mkdir -p "$(cni_conf_dir "$NODE_CONTAINERD")"
  "start_${NODE_KIND}_agent"
  # An agent that is not used any more must not decide how the next one's pods are connected.
  if [[ $NODE_KIND == kubelet ]]; then
    set_cni_aside && write_cni
  fi
  wait_ready "node-$NODE" 90 node_is_ready "$NODE"
  if [[ $NODE_CONTAINERD == main ]]; then point_kube_proxy "$NODE"; fi
  connect_pod_network
  detail "$NODE ($NODE_KIND) is ready; log: $(process_log "node-$NODE")"
}

# other_agents_stopped NODE: two agents on one containerd would each remove what only the other knows.
other_agents_stopped() {
  local dir other
  for dir in "$STATE"/nodes/*/; do
    other=$(basename "$dir")
    [[ $other != "$1" && $(cat "$dir/placement" 2>/dev/null) == shared ]] || continue
    ! process_alive "node-$other" ||
      die "node $other uses the same containerd; stop it first: $LOCAL_DIR/node stop --name $CLUSTER --node $other"
  done
}

# node_is_ready NODE: the condition may still be that of an agent that was stopped, so the agent is asked as well.
node_is_ready() {
  nsenter --net="/run/netns/$NODE_NETNS" -- curl -fsS -o /dev/null -m 2 http://127.0.0.1:10248/healthz &&
    [[ $(kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

start_own_machine() {
  attach_node "$NODE_NETNS" "$NODE_IP" "node$NODE_SLOT"
  start_containerd "$NODE" "$NODE_NETNS" "$CLUSTER_IP"
  pull_sandbox_image "$NODE" "$NODE_NETNS"
  start_kube_proxy "kube-proxy-$NODE" "$NODE_NETNS" "$NODE" "$NODE_IP"
}

# connect_pod_network: each namespace learns where the pods of the others are. The node of the cluster's own
# namespace is whichever has its address.
connect_pod_network() {
  local line name address cidr other
  while read -r name address cidr; do
    [[ -n $cidr ]] || continue
    [[ $address == "$CLUSTER_IP" ]] || in_net ip route replace "$cidr" via "$address"
    for other in "$STATE"/nodes/*/slot; do
      [[ -s $other && $address != "198.18.$INDEX.$(<"$other")" ]] || continue
      nsenter --net="/run/netns/$NETNS-$(basename "$(dirname "$other")")" -- ip route replace "$cidr" via "$address" || true
    done
  done < <(kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address} {.spec.podCIDR}{"\n"}{end}')
}

set_cni_aside() {
  local file
  for file in "$(cni_conf_dir "$NODE_CONTAINERD")"/*.conflist; do
    if [[ -e $file && $file != */10-kubelet.conflist ]]; then mv "$file" "$file.aside"; fi
  done
}

restore_cni() {
  local file dir
  dir=$(cni_conf_dir "$NODE_CONTAINERD")
  rm -f "$dir/10-kubelet.conflist"
  for file in "$dir"/*.aside; do
    if [[ -e $file ]]; then mv "$file" "${file%.aside}"; fi
  done
}

# remove_cni: the network of a node whose pods are gone. Its bridge has the address of a range of pod addresses that
# the next node does not get.
remove_cni() {
  local file bridge dir
  dir=$(cni_conf_dir "$NODE_CONTAINERD")
  restore_cni
  if [[ $NODE_KIND == kubelet ]]; then bridge=kcni0; fi
  for file in "$dir"/*.conflist; do
    [[ $NODE_KIND == farlet && -e $file ]] || continue
    bridge=$(jq -r '[.plugins[].bridge // empty][0] // empty' "$file")
    rm -f "$file"
  done
  [[ -z ${bridge:-} ]] || in_net ip link del "$bridge" 2>/dev/null || true
}

# stop_node NODE: ends the agent; its pods run on and the Node object stays.
stop_node() {
  read_node "$1" || die "cluster $CLUSTER has no node $1"
  stop_processes 20 "node-$NODE"
  if [[ $NODE_KIND == kubelet ]]; then restore_cni; fi
}

# drain_node: pods go first, while somebody can still stop them in order, and in any case before the Node.
drain_node() {
  local pods=(--all-namespaces --field-selector "spec.nodeName=$NODE")
  if process_alive "node-$NODE"; then
    kubectl cordon "$NODE" >/dev/null 2>&1 || true
    kubectl delete pods "${pods[@]}" --timeout 45s >/dev/null 2>&1 || warn "not every pod of $NODE ended within 45 s"
  fi
  stop_node "$NODE"
  kubectl delete pods "${pods[@]}" --force --grace-period 0 --timeout 20s >/dev/null 2>&1 || true
  kubectl delete node "$NODE" --ignore-not-found --timeout 30s >/dev/null
}

# remove_node NODE: pods, Node object, agent, and everything that the node had.
remove_node() {
  read_node "$1" || { detail "cluster $CLUSTER has no node $1" && return; }
  drain_node
  if [[ $NODE_CONTAINERD == main ]]; then
    if remove_sandboxes main "$(node_cgroup "$NODE")"; then
      # containerd's CRI keeps in memory what was taken away behind its back; started again it has forgotten.
      stop_processes 10 containerd-main
      start_containerd main "$NETNS" 127.0.0.1
    fi
    remove_cni
  else
    remove_sandboxes "$NODE" / || true
    stop_processes 10 "kube-proxy-$NODE" "containerd-$NODE"
    delete_namespace "$NODE_NETNS"
    release_mounts "$STATE/containerd/$NODE" "$RUN/containerd/$NODE"
    rm -rf --one-file-system "$STATE/containerd/$NODE" "$RUN/containerd/$NODE" "$STATE/kube-proxy-$NODE.yaml"
  fi
  remove_cgroups "farlet-$CLUSTER-$NODE"
  release_mounts "$NODE_DIR"
  rm -rf --one-file-system "$NODE_DIR"
  forget_kubelet_paths
  restore_sysctls
}
