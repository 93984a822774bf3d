# shellcheck shell=bash
# Takes a cluster apart, and finds what is left of one.

# release_mounts DIR...: everything mounted below the folders, the deepest first.
release_mounts() {
  local dir
  for dir in "$@"; do
    mounts_below "$dir" | sort -r | xargs -r umount 2>/dev/null || true
    mounts_below "$dir" | sort -r | xargs -r umount -l 2>/dev/null || true
  done
}

mounts_below() { awk -v dir="$1" '$5 == dir || index($5, dir "/") == 1 {print $5}' /proc/self/mountinfo; }

node_ctr() { timeout 20 ctr --address "$(containerd_socket "$1")" -n k8s.io "${@:2}" 2>/dev/null; }

# remove_container CONTAINERD ID INFO: task, container, addresses and network namespace.
remove_container() {
  local path
  node_ctr "$1" tasks delete --force "$2" >/dev/null || true
  node_ctr "$1" containers delete "$2" >/dev/null || true
  forget_addresses "$2"
  path=$(jq -r '.Spec.linux.namespaces[]? | select(.type == "network") | .path // empty' <<<"$3")
  if [[ $path == "$RUN"/* ]]; then { umount "$path" && rm -f "$path"; } 2>/dev/null || true; fi
}

# remove_sandboxes CONTAINERD CGROUP: ends and deletes, eight at a time, the containers whose control group is
# below CGROUP (`/` means all) with their shims and network namespaces. Succeeds when there were any.
remove_sandboxes() {
  local id info path count=0
  process_alive "containerd-$1" || return 1
  for id in $(node_ctr "$1" containers list -q); do
    info=$(node_ctr "$1" containers info "$id") || continue
    path=$(jq -r '.Spec.linux.cgroupsPath // "/"' <<<"$info")
    [[ $2 == / || $path == "$2"/* ]] || continue
    remove_container "$1" "$id" "$info" &
    count=$((count + 1))
    ((count % 8 != 0)) || wait
  done
  wait
  ((count > 0))
}

# cni_results: what libcni keeps about the cluster's sandboxes in a folder of the machine. Their network
# namespaces are below the cluster's own folder.
cni_results() { grep -lsF "$RUN/" /var/lib/cni/results/* || true; }

# forget_addresses ID: a sandbox's addresses, where a CNI configuration left them in the plugin's default folder.
forget_addresses() {
  local file
  for file in /var/lib/cni/networks/*/*; do
    if [[ -f $file && $(head -n 1 "$file") == "$1"* ]]; then rm -f "$file"; fi
  done
}

# shim_sockets: containerd puts the sockets of its shims into a folder of the machine.
shim_sockets() {
  find "$RUN/containerd" -path '*/io.containerd.runtime.v2.task/*/address' -exec cat {} + -exec echo \; 2>/dev/null |
    tr -s '\n' | grep -o '/run/containerd/s/[0-9a-f]*' || true
}

control_plane_processes() {
  local file
  for file in "$RUN"/pid/node-*; do if [[ -e $file ]]; then basename "$file"; fi; done
  # The API server's clients first: it would wait for their watches.
  printf '%s\n' serving-approver coredns kube-scheduler kube-controller-manager
  for file in "$RUN"/pid/kube-proxy*; do if [[ -e $file ]]; then basename "$file"; fi; done
}

# remove_machine_folders: folders that Kubernetes' parts make wherever they run, if nothing is in them.
remove_machine_folders() {
  rmdir /run/containerd/{s,fifo} /run/containerd /var/lib/cni/{results,networks/*,networks,cache} /var/lib/cni 2>/dev/null || true
  # containerd's group for containers of which nobody said where they belong.
  cgroup_trees k8s.io | xargs -r rmdir 2>/dev/null || true
  unshare_netns_dir
  rmdir "$FARLET_STATE_ROOT" "$FARLET_RUN_ROOT" 2>/dev/null || true
}

stop_control_plane() {
  # shellcheck disable=SC2046 # one name a word
  stop_processes 15 $(control_plane_processes)
  stop_processes 5 kube-apiserver
  stop_processes 5 etcd
}

# shim_children: the first processes of the cluster's containers; they do not carry its mark.
shim_children() {
  local pid
  for pid in $(marked_processes); do
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == containerd-shim* ]]; then pgrep -P "$pid" || true; fi
  done
}

# groups_of PID...: their control groups in every hierarchy.
groups_of() {
  local pid root path
  for pid in "$@"; do
    cut -d: -f3- "/proc/$pid/cgroup" 2>/dev/null || true
  done | sort -u | while read -r path; do
    [[ $path != / ]] || continue
    for root in $(cgroup_roots); do if [[ -d $root$path ]]; then echo "$root$path"; fi; done
  done
}

# stop_runtime: everything of the pods is below the cluster's folders and groups, so nobody has to take them apart
# one by one: containerd ends, then the containers, then the shims, which reap them.
stop_runtime() {
  local id sockets groups children
  sockets=$(shim_sockets)
  for id in "$RUN"/containerd/*/; do
    if [[ -d $id ]]; then stop_processes 10 "containerd-$(basename "$id")"; fi
  done
  stop_processes 5 registry registry-private
  children=$(shim_children)
  # shellcheck disable=SC2086 # a list of numbers
  groups=$(groups_of $children)
  # shellcheck disable=SC2086 # a list of numbers
  [[ -z $children ]] || kill -KILL $children 2>/dev/null || true
  cgroup_trees "farlet-$CLUSTER-*" | while read -r id; do kill_cgroup_members "$id"; done
  kill_marked
  # shellcheck disable=SC2086 # one path a word
  rm -f $sockets
  # Those of containers that were started without saying under which node's group they belong.
  [[ -z $groups ]] || sort -r <<<"$groups" | xargs rmdir 2>/dev/null || true
}

remove_namespaces() {
  local file
  for file in "/run/netns/$NETNS"-* "/run/netns/$NETNS"; do
    if [[ -e $file ]]; then delete_namespace "$(basename "$file")"; fi
  done
  if [[ -n ${HOST_LINK:-} ]]; then ip link del "$HOST_LINK" 2>/dev/null || true; fi
}

remove_files() {
  release_mounts "$STATE" "$RUN"
  rm -rf --one-file-system "$STATE" "$RUN" || true
  restore_sysctls
  forget_kubelet_paths
  # shellcheck disable=SC2046 # one path a word
  rm -f $(cni_results)
  rm -f "/run/lock/farlet-local-$CLUSTER"
  remove_machine_folders
}

# leftovers: one line for each thing of the cluster that is still there.
leftovers() {
  local pid dir
  for pid in $(marked_processes); do
    echo "process $pid ($({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null))"
  done
  for dir in "$STATE" "$RUN"; do mounts_below "$dir" | sed 's/^/mount /'; done
  for dir in "$STATE" "$RUN" "/run/netns/$NETNS" "/run/netns/$NETNS"-*; do
    if [[ -e $dir ]]; then echo "file $dir"; fi
  done
  # A new cluster may have taken the index already.
  if [[ -n ${HOST_LINK:-} && -e /sys/class/net/$HOST_LINK ]] &&
    ! grep -qsx "$INDEX" "$FARLET_STATE_ROOT"/*/index; then echo "interface $HOST_LINK"; fi
  cgroup_trees "farlet-$CLUSTER-*" | sed 's/^/cgroup /'
  cni_results | sed 's/^/file /'
}
