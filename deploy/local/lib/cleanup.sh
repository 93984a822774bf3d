# shellcheck shell=bash
# Takes a cluster apart, and finds what is left of one.

# release_mounts DIR...: everything mounted below the folders, the deepest first.
release_mounts() {
  local dir target
  for dir in "$@"; do
    while read -r target; do
      umount "$target" 2>/dev/null || umount -l "$target" 2>/dev/null || true
    done < <(mounts_below "$dir" | sort -r)
  done
}

mounts_below() { awk -v dir="$1" '$5 == dir || index($5, dir "/") == 1 {print $5}' /proc/self/mountinfo; }

node_ctr() { timeout 20 ctr --address "$(containerd_socket "$1")" -n k8s.io "${@:2}" 2>/dev/null; }

# remove_sandboxes CONTAINERD CGROUP: ends and deletes the containers whose control group is below CGROUP (`/` means
# all) with their shims and network namespaces. Succeeds when there were any.
remove_sandboxes() {
  local id info path removed=1
  process_alive "containerd-$1" || return 1
  for id in $(node_ctr "$1" containers list -q); do
    info=$(node_ctr "$1" containers info "$id") || continue
    path=$(jq -r '.Spec.linux.cgroupsPath // "/"' <<<"$info")
    [[ $2 == / || $path == "$2"/* ]] || continue
    removed=0
    node_ctr "$1" tasks delete --force "$id" >/dev/null || true
    node_ctr "$1" containers delete "$id" >/dev/null || true
    forget_addresses "$id"
    path=$(jq -r '.Spec.linux.namespaces[]? | select(.type == "network") | .path // empty' <<<"$info")
    if [[ $path == "$RUN"/* ]]; then { umount "$path" && rm -f "$path"; } 2>/dev/null || true; fi
  done
  return "$removed"
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
  unshare_netns_dir
  rmdir "$FARLET_STATE_ROOT" "$FARLET_RUN_ROOT" 2>/dev/null || true
}

stop_all() {
  local id
  # shellcheck disable=SC2046 # one name a word
  stop_processes 15 $(control_plane_processes)
  stop_processes 5 kube-apiserver
  stop_processes 5 etcd
  for id in "$RUN"/containerd/*/; do
    if [[ -d $id ]]; then remove_sandboxes "$(basename "$id")" / || true; fi
  done
}

stop_runtime() {
  local id sockets
  sockets=$(shim_sockets)
  for id in "$RUN"/containerd/*/; do
    if [[ -d $id ]]; then stop_processes 10 "containerd-$(basename "$id")"; fi
  done
  stop_processes 5 registry registry-private
  # Containers that are still there end before their shims, which reap them.
  cgroup_trees "farlet-$CLUSTER-*" | while read -r id; do kill_cgroup_members "$id"; done
  kill_marked
  # shellcheck disable=SC2086 # one path a word
  rm -f $sockets
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
  if [[ -n ${HOST_LINK:-} && -e /sys/class/net/$HOST_LINK ]]; then echo "interface $HOST_LINK"; fi
  cgroup_trees "farlet-$CLUSTER-*" | sed 's/^/cgroup /'
  cni_results | sed 's/^/file /'
}
