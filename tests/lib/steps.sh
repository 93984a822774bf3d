# shellcheck shell=bash
# How tests/run does a step: its output in a log, a sign of life, a row in the summary.
# A row comes from a step (a build, a cluster: one failure or none) or from a test report (counted).

OUT=$ROOT/build/test-results
HEARTBEAT=15
ROWS=()
CHECKED=no # whether a row says anything about the code
child='' background=''

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

# The checkout's owner builds, so that a run by sudo leaves no file of root in build/.
OWNER_UID=$(stat -c %u "$ROOT")
as_owner() {
  if [[ $EUID -ne 0 || $OWNER_UID -eq 0 ]]; then
    "$@"
  else
    setpriv --reuid "$OWNER_UID" --regid "$(stat -c %g "$ROOT")" --init-groups \
      env HOME="$(getent passwd "$OWNER_UID" | cut -d: -f6)" "$@"
  fi
}

prepare_output() {
  as_owner mkdir -p "$ROOT/build"
  rm -rf "$OUT"
  as_owner mkdir -p "$OUT"
}

log_of() { echo "$OUT/${1//[^a-z0-9]/-}.log"; }

# show_tail LOG: why a step failed, as far as its log tells.
show_tail() {
  printf '        log: %s, its end:\n' "$1"
  tail -n "${2:-40}" "$1" | sed 's/^/        | /'
}

last_line() { tail -c 2000 "$1" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-110; }

# logged NAME FUNCTION...: sets RC to its exit code. No function here reports by its own exit code: inside
# `if` and `||` bash would ignore the errors of everything that is called.
logged() {
  local name=$1 log start=$SECONDS told=0
  log=$(log_of "$name")
  shift
  (
    set -euo pipefail
    "$@"
  ) >"$log" 2>&1 </dev/null &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - start >= told + HEARTBEAT)); then
      told=$((SECONDS - start))
      say "  $name, ${told}s: $(last_line "$log")"
    fi
  done
  RC=0
  wait "$child" || RC=$?
  child=''
}

# descendants PID: the process and everything below it.
descendants() {
  local pid
  echo "$1"
  for pid in $(pgrep -P "$1"); do descendants "$pid"; done
}

end_tree() {
  local pids
  [[ -n $1 ]] || return 0
  pids=$(descendants "$1")
  # shellcheck disable=SC2086 # a list of numbers
  kill -TERM $pids 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

stop_child() { end_tree "$child" && child=''; }

stop_background() { end_tree "$background" && background=''; }

# start_background NAME FUNCTION: what takes long and is needed later.
start_background() {
  background_name=$1
  say "$1: in the background"
  rm -f "$(log_of "$1").rc"
  # Its result goes to a file: who waits for it is a shell of its own and not its parent.
  (
    set +e
    (set -euo pipefail && "$2")
    echo $? >"$(log_of "$1").rc"
  ) >"$(log_of "$1")" 2>&1 </dev/null &
  background=$!
}

# wait_background: its result, with a sign of life.
wait_background() {
  local log start=$SECONDS rc
  log=$(log_of "$background_name")
  while kill -0 "$background" 2>/dev/null; do
    sleep 0.5
    if (((SECONDS - start) % HEARTBEAT == 0 && SECONDS != start)); then
      last_line "$log"
      sleep 1
    fi
  done
  rc=$(cat "$log.rc" 2>/dev/null || echo 1)
  cat "$log"
  return "$rc"
}

add_row() { ROWS+=("$1|$2|$3|$4|$5|${6:-}"); }

note_failure() { add_row "$1" 0 1 0 0 "$2"; }

# try_step NAME FUNCTION...: a failure is noted, and the next step follows. Sets RC.
try_step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  logged "$name" "$@"
  if ((RC == 0)); then
    add_row "$name" - 0 - $((SECONDS - start))
  else
    say "$name FAILED"
    show_tail "$(log_of "$name")"
    add_row "$name" - 1 - $((SECONDS - start)) "log: $(log_of "$name")"
  fi
}

# need_step NAME FUNCTION...: nothing that follows makes sense without it.
need_step() {
  try_step "$@"
  ((RC == 0)) || exit 1
}

# check_step NAME FUNCTION...: a step that is a check itself, though it counts no tests.
check_step() {
  CHECKED=yes
  try_step "$@"
}

# test_row NAME FUNCTION...: the function writes junit reports to $OUT/<name>*.xml; only those are counted.
test_row() {
  local name=$1 start=$SECONDS report passed failed skipped note=''
  shift
  CHECKED=yes
  report=$OUT/${name//[^a-z0-9]/-}
  say "$name"
  rm -f "$report".xml
  logged "$name" "$@" "$report.xml"
  read -r passed failed skipped note < <(python3 "$ROOT/tests/lib/junit.py" count "$report.xml") || true
  : "${passed:=0}" "${failed:=1}" "${skipped:=0}"
  if ((passed + failed + skipped == 0)); then
    failed=1 note='no test ran'
  elif ((RC != 0 && failed == 0)); then
    failed=1 note="the runner failed with code $RC"
  fi
  if ((failed > 0)); then
    say "$name FAILED"
    python3 "$ROOT/tests/lib/junit.py" failures "$report.xml" | sed 's/^/        /' || true
    show_tail "$(log_of "$name")" 25
    note="${note:+$note; }log: $(log_of "$name")"
  fi
  add_row "$name" "$passed" "$failed" "$skipped" $((SECONDS - start)) "$note"
}

# print_summary: the table, the totals, and the script's exit code.
print_summary() {
  local row name passed failed skipped seconds note sum=(0 0 0)
  printf '\n%-22s %8s %8s %8s %8s\n' suite passed failed skipped seconds
  for row in "${ROWS[@]}"; do
    IFS='|' read -r name passed failed skipped seconds note <<<"$row"
    printf '%-22s %8s %8s %8s %8s  %s\n' "$name" "$passed" "$failed" "$skipped" "$seconds" "$note"
    sum[0]=$((sum[0] + ${passed/-/0}))
    sum[1]=$((sum[1] + failed))
    sum[2]=$((sum[2] + ${skipped/-/0}))
  done
  printf '%-22s %8s %8s %8s %8s\n' total "${sum[@]}" "$SECONDS"
  [[ $CHECKED == yes ]] || { ((sum[1] > 0)) || sum[1]=1; }
  printf '%d passed, %d failed, %d skipped\n' "${sum[@]}"
  ((sum[1] == 0)) || exit 1
  exit 0
}
