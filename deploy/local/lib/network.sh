# shellcheck shell=bash
# The network of a cluster: a namespace with a bridge in it. The host is attached to the bridge by a
# veth pair, and so is every further node. There is no default route: the cluster reaches nothing outside.
#
#   host  flt<index> 198.18.<index>.1 ── host0 ┐
#                                              br0 198.18.<index>.2   namespace farlet-<cluster>
#   namespace farlet-<cluster>-<node>   eth0 ──┘   (198.18.<index>.10 and up)

# share_netns_dir: the first `ip netns add` of a machine mounts /run/netns onto itself and hides what is
# there already. Making that mount before anything else uses the folder avoids it.
share_netns_dir() {
  mountpoint -q /run/netns && return
  mkdir -p /run/netns
  mount --bind /run/netns /run/netns
  mount --make-shared /run/netns
  touch "$FARLET_RUN_ROOT/.mounted-run-netns"
}

unshare_netns_dir() {
  local mark=$FARLET_RUN_ROOT/.mounted-run-netns
  [[ -e $mark && -z $(ls -A /run/netns) ]] || return 0
  umount /run/netns && rm -f "$mark"
  rmdir /run/netns 2>/dev/null || true
}

# namespace_usable NETNS: the name exists and is a network namespace (a killed `ip netns add` leaves a file).
namespace_usable() { nsenter --net="/run/netns/$1" -- true 2>/dev/null; }

create_namespace() {
  local netns=$1
  namespace_usable "$netns" && return
  rm -f "/run/netns/$netns"
  ip netns add "$netns"
}

# node_sysctls NETNS: what a Kubernetes node needs; each is a setting of the namespace.
node_sysctls() {
  local in=(nsenter --net="/run/netns/$1" --) key
  "${in[@]}" ip link set lo up
  "${in[@]}" sysctl -qw net.ipv4.ip_forward=1
  for key in bridge-nf-call-iptables bridge-nf-call-ip6tables; do
    [[ ! -e /proc/sys/net/bridge/$key ]] || "${in[@]}" sysctl -qw "net.bridge.$key=1"
  done
}

create_network() {
  share_netns_dir
  # shellcheck disable=SC2153 # the cluster's own, set by use_cluster
  create_namespace "$NETNS"
  node_sysctls "$NETNS"
  if ! in_net ip link show br0 >/dev/null 2>&1; then in_net ip link add br0 type bridge forward_delay 0; fi
  # A bridge without an address of its own takes one of its ports' and changes it when a node comes or goes:
  # its neighbours would send to the old one for half a minute.
  in_net ip link set br0 address "$(printf '02:fa:00:00:%02x:02' "$INDEX")"
  in_net ip addr replace "$CLUSTER_IP/24" dev br0
  in_net ip link set br0 up
  if ! ip link show "$HOST_LINK" >/dev/null 2>&1; then
    in_net ip link del host0 2>/dev/null || true
    ip link add "$HOST_LINK" type veth peer name host0 netns "$NETNS"
  fi
  in_net ip link set host0 master br0 up
  ip addr replace "$HOST_IP/24" dev "$HOST_LINK"
  ip link set "$HOST_LINK" up
  # Without a default route a packet to a service address needs a route of some kind before kube-proxy's
  # rules get to rewrite it.
  in_net ip route replace "$SERVICE_CIDR" dev br0
}

# attach_node NETNS NODE_IP PORT: a further node's namespace on the bridge; PORT is its name on the bridge.
attach_node() {
  local netns=$1 address=$2 port=$3
  local in=(nsenter --net="/run/netns/$netns" --)
  create_namespace "$netns"
  node_sysctls "$netns"
  if ! "${in[@]}" ip link show eth0 >/dev/null 2>&1; then
    in_net ip link add "$port" type veth peer name eth0 netns "$netns"
  fi
  in_net ip link set "$port" master br0 up
  "${in[@]}" ip addr replace "$address/24" dev eth0
  "${in[@]}" ip link set eth0 up
  "${in[@]}" ip route replace "$SERVICE_CIDR" dev eth0
}

# delete_namespace NETNS: ends what still runs in it, then removes it.
delete_namespace() {
  local netns=$1 signal pids
  [[ -e /run/netns/$netns ]] || return 0
  for signal in TERM KILL; do
    pids=$(ip netns pids "$netns" 2>/dev/null | grep -vx "$$" || true)
    [[ -n $pids ]] || break
    # shellcheck disable=SC2086 # a list of numbers
    kill "-$signal" $pids 2>/dev/null || true
    sleep 0.5
  done
  ip netns del "$netns" 2>/dev/null || { umount -l "/run/netns/$netns" 2>/dev/null; rm -f "/run/netns/$netns"; }
}
