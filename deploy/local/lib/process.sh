# shellcheck shell=bash
# Processes of the cluster: started once, found again by a pid file, ended within a bound.
# Each carries FARLET_LOCAL=<cluster> in its environment, and so does whatever it starts.

process_log() { echo "$LOGS/$1.log"; }

# start_time PID: the kernel's start time, which tells a process from a later one with the same id.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  local fields
  read -r -a fields <<<"${stat##*) }"
  echo "${fields[19]}"
}

# process_pid NAME: the id of the process when it still runs.
process_pid() {
  local pid started
  read -r pid started 2>/dev/null <"$RUN/pid/$1" || return 1
  [[ -n $started && $(start_time "$pid") == "$started" ]] || return 1
  [[ $(ps -o stat= -p "$pid") != Z* ]] || return 1
  echo "$pid"
}

process_alive() { process_pid "$1" >/dev/null; }

# start_process NAME NETNS COMMAND...: does nothing when it runs already.
start_process() {
  local name=$1 netns=$2 pid
  shift 2
  if process_alive "$name"; then
    detail "$name runs already (pid $(process_pid "$name"))"
    return
  fi
  mkdir -p "$RUN/pid" "$LOGS"
  rm -f "$RUN/pid/$name"
  FARLET_LOCAL=$CLUSTER setsid "$LOCAL_DIR/lib/launch" "$RUN/pid/$name" \
    nsenter --net="/run/netns/$netns" -- "$@" </dev/null >>"$(process_log "$name")" 2>&1 7>&- &
  pid=$!
  disown "$pid"
  for _ in {1..500}; do
    [[ -s $RUN/pid/$name ]] && return
    sleep 0.02
  done
  fail_with_log "$name did not start" "$(process_log "$name")"
}

ready_or_dead() {
  local name=$1
  shift
  "$@" || ! process_alive "$name"
}

# wait_ready NAME SECONDS COMMAND...: until COMMAND succeeds; a process that ended fails at once.
wait_ready() {
  local name=$1 limit=$2
  shift 2
  wait_for "$name" "$limit" "$(process_log "$name")" ready_or_dead "$name" "$@"
  process_alive "$name" || fail_with_log "$name ended instead of becoming ready" "$(process_log "$name")"
}

# stop_processes SECONDS NAME...: SIGTERM to all, SIGKILL to those that outlive the bound.
stop_processes() {
  local limit=$1 name pid deadline
  shift
  for name in "$@"; do
    if pid=$(process_pid "$name"); then kill "$pid" 2>/dev/null || true; fi
  done
  deadline=$((SECONDS + limit))
  for name in "$@"; do
    while pid=$(process_pid "$name"); do
      if ((SECONDS >= deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
      sleep 0.05
    done
    rm -f "$RUN/pid/$name"
  done
}

# marked_processes: every process that this cluster started, and their children.
marked_processes() { grep -lszx "FARLET_LOCAL=$CLUSTER" /proc/[0-9]*/environ | cut -d/ -f3 || true; }

# kill_marked: what is left after the orderly stop, for instance shims.
kill_marked() {
  local signal pids
  for signal in TERM KILL KILL; do
    pids=$(marked_processes)
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086 # a list of numbers
    kill "-$signal" $pids 2>/dev/null || true
    for _ in {1..10}; do
      [[ -n $(marked_processes) ]] || return 0
      sleep 0.1
    done
  done
}
