# shellcheck shell=bash
# What every script here needs: where things are, how to say what happens, how to wait.
# Sourced first by each entry point; it defines and changes nothing on the machine.

LOCAL_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO_DIR=$(cd "$LOCAL_DIR/../.." && pwd)

FARLET_CACHE=${FARLET_CACHE:-/var/cache/farlet}
FARLET_STATE_ROOT=${FARLET_STATE_ROOT:-/var/lib/farlet-local}
FARLET_RUN_ROOT=${FARLET_RUN_ROOT:-/run/farlet-local}

KUBE_VERSION=v1.37.2
ETCD_VERSION=v3.7.3
COREDNS_VERSION=v1.15.0
HELM_VERSION=v3.22.0
CRITEST_VERSION=v1.37.0
# Where Debian's (1.6) is not wanted.
CONTAINERD_VERSION=v2.4.2

STARTED_AT=$SECONDS

elapsed() { echo $((SECONDS - STARTED_AT)); }

# step TITLE: the headline of one thing that is done, with the time since the script started.
step() { printf '[%4ds] %s\n' "$(elapsed)" "$*"; }

# detail TEXT: one line below a step.
detail() { printf '        %s\n' "$*"; }

warn() { printf '[%4ds] warning: %s\n' "$(elapsed)" "$*" >&2; }

die() {
  printf '[%4ds] error: %s\n' "$(elapsed)" "$*" >&2
  exit 1
}

# usage_error TEXT: a wrong command line; nothing has been started yet.
usage_error() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

require_root() {
  [[ $EUID -eq 0 ]] || usage_error "must run as root (try: sudo $0)"
}

# option_value OPTION [VALUE]: the value, or a usage error that names the option.
option_value() {
  [[ $# -ge 2 && -n $2 ]] || usage_error "option $1 needs a value"
  printf '%s' "$2"
}

# show_log LOG: the end of a log, for a step that failed.
show_log() {
  local log=$1
  [[ -s $log ]] || { printf '        (%s is empty)\n' "$log" >&2; return 0; }
  printf '        last lines of %s:\n' "$log" >&2
  tail -n 15 "$log" | cut -c 1-300 | sed 's/^/        | /' >&2
}

# fail_with_log TEXT LOG
fail_with_log() {
  printf '[%4ds] error: %s\n' "$(elapsed)" "$1" >&2
  show_log "$2"
  exit 1
}

# wait_for WHAT SECONDS LOG COMMAND...: polls COMMAND until it succeeds; says what it waits for.
wait_for() {
  local what=$1 limit=$2 log=$3 start=$SECONDS told=0
  shift 3
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS - start >= limit)); then
      fail_with_log "gave up after ${limit}s waiting for $what" "$log"
    fi
    if ((SECONDS - start >= told + 5)); then
      told=$((SECONDS - start))
      detail "waiting for $what (${told}s of at most ${limit}s)"
    fi
    sleep 0.2
  done
}

# run_logged WHAT LOG COMMAND...: runs COMMAND with its output in LOG and a sign of life every 15 s. It does not
# hold the cluster's lock (descriptor 7): it may go on for a while when this script is killed.
run_logged() {
  local what=$1 log=$2 start=$SECONDS told=0 pid
  shift 2
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 7>&- &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - start >= told + 15)); then
      told=$((SECONDS - start))
      detail "$what: ${told}s; log: $log"
    fi
  done
  wait "$pid" || fail_with_log "$what failed" "$log"
}
