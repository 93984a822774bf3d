# shellcheck shell=bash
# What runs beside the control plane: certificate approval, service addresses, names.

apply_cluster_objects() {
  local token
  token=$(<"$STATE/bootstrap-token")
  render "$LOCAL_DIR/manifests/cluster.yaml" "TOKEN_ID=${token%.*}" "TOKEN_SECRET=${token#*.}" \
    "DNS_IP=$CLUSTER_DNS_IP" "CLUSTER_IP=$CLUSTER_IP" |
    kubectl apply -f - >"$LOGS/apply.log" 2>&1 || fail_with_log "applying the cluster's objects failed" "$LOGS/apply.log"
}

start_serving_approver() {
  start_process serving-approver "$NETNS" "$LOCAL_DIR/lib/serving-approver" \
    "$(kube_binary kubectl)" "$STATE/serving-approver.kubeconfig"
}

# start_kube_proxy NAME NETNS NODE NODE_IP
start_kube_proxy() {
  local config=$STATE/$1.yaml
  process_alive "$1" && return
  render "$LOCAL_DIR/manifests/kube-proxy.yaml" "NODE=$3" "NODE_IP=$4" "POD_CIDR=$POD_CIDR" \
    "KUBECONFIG=$STATE/kube-proxy.kubeconfig" | write_file "$config"
  start_process "$1" "$2" "$LOCAL_DIR/lib/keep-running" "$(kube_binary kube-proxy)" --config "$config"
}

# point_kube_proxy NODE: the cluster's own kube-proxy belongs to the node whose agent works in its namespace. While
# that node does not exist, kube-proxy waits for 30 s before it does anything.
point_kube_proxy() {
  grep -qsx "hostnameOverride: $1" "$STATE/kube-proxy.yaml" && return
  stop_processes 10 kube-proxy
  start_kube_proxy kube-proxy "$NETNS" "$1" "$CLUSTER_IP"
}

start_coredns() {
  render "$LOCAL_DIR/manifests/Corefile" "CLUSTER_IP=$CLUSTER_IP" "CLUSTER_DOMAIN=$CLUSTER_DOMAIN" \
    "KUBECONFIG=$STATE/coredns.kubeconfig" | write_file "$STATE/Corefile"
  start_process coredns "$NETNS" "$(kube_binary coredns)" -conf "$STATE/Corefile"
  wait_ready coredns 60 curl -fsS -m 2 "http://$CLUSTER_IP:8181/ready"
  # For pods with dnsPolicy Default, and for agents: the machine's own name server is out of reach.
  printf 'search %s\nnameserver %s\n' "$CLUSTER_DOMAIN" "$CLUSTER_IP" | write_file "$STATE/resolv.conf"
}
