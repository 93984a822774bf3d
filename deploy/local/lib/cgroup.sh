# shellcheck shell=bash
# The control groups under which a node's pods live: /farlet-<cluster>-<node> in every hierarchy of the
# machine, be it version 1, version 2 or both.

cgroup_roots() { findmnt -n -t cgroup,cgroup2 -o TARGET | sort -u; }

node_cgroup() { echo "/farlet-$CLUSTER-$1"; }

create_cgroup() {
  local root controller
  for root in $(cgroup_roots); do
    # Version 2 hands a controller down only when the parent says so. A hybrid's tree has none to hand down.
    if [[ -e $root/cgroup.subtree_control ]]; then
      for controller in $(<"$root/cgroup.controllers"); do
        echo "+$controller" 2>/dev/null >"$root/cgroup.subtree_control" || true
      done
    fi
    mkdir -p "$root$1"
  done
}

# cgroup_trees PATTERN: the existing groups directly below each root.
cgroup_trees() {
  local root
  for root in $(cgroup_roots); do
    find "$root" -mindepth 1 -maxdepth 1 -type d -name "$1" 2>/dev/null || true
  done
}

kill_cgroup_members() {
  local pids
  pids=$(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | grep -vx 0 || true)
  # shellcheck disable=SC2086 # a list of numbers
  [[ -z $pids ]] || kill -KILL $pids 2>/dev/null || true
}

# remove_cgroups PATTERN: kills what runs in the groups and removes them, the deepest first.
remove_cgroups() {
  local tree
  for _ in {1..50}; do
    [[ -n $(cgroup_trees "$1") ]] || return 0
    for tree in $(cgroup_trees "$1"); do
      kill_cgroup_members "$tree"
      find "$tree" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
    sleep 0.1
  done
}
