# shellcheck shell=bash
# shellcheck disable=SC2164 # every function here runs under set -e
# What each row of tests/run does. Functions that test take the path of the junit report to write.

CLUSTER=${FARLET_TEST_CLUSTER:-test}
JOBS=$(nproc)
HANDLER=${FARLET_RUNTIME_HANDLER:-runc}
LOCAL=$ROOT/deploy/local
FARLET=$ROOT/build/release/provider/app/farlet

# --- packages -----------------------------------------------------------------------------------

test_packages() { sed 's/#.*//' "$ROOT/tests/e2e/packages.txt" | xargs; }

missing_packages() {
  local name
  for name in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
  done
}

suite_install() {
  "$LOCAL/install"
  local missing
  # shellcheck disable=SC2046 # one name a word
  missing=$(missing_packages $(test_packages))
  [[ -n $missing ]] || return 0
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

# suite_check_packages: without root; names what is missing and the command that installs it.
suite_check_packages() {
  local tool missing=()
  for tool in cmake ninja g++ protoc grpc_cpp_plugin clang-format python3; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || { echo "missing commands: ${missing[*]}" && name_packages && return 1; }
}

# name_packages: those of packages.txt that this machine lacks, and what installs them.
name_packages() {
  local missing
  # shellcheck disable=SC2046 # one name a word
  missing=$(missing_packages $(sed 's/#.*//' "$LOCAL/packages.txt"))
  missing=${missing//$'\n'/ }
  echo "missing packages: ${missing:-none of those in $LOCAL/packages.txt}"
  echo "install them with: sudo $LOCAL/install"
}

# --- build --------------------------------------------------------------------------------------

suite_build_kube() { nice -n 19 "$LOCAL/build-kube" --with-kubelet --with-helm; }

suite_build_preset() {
  cd "$ROOT"
  if ! as_owner cmake --preset "$1"; then
    echo "configuring failed"
    name_packages
    return 1
  fi
  as_owner nice -n 5 cmake --build --preset "$1" -j "$JOBS"
}

suite_build() { suite_build_preset release; }

sources() { find "$ROOT"/{kube,provider,runtime,tests} -name '*.h' -o -name '*.cc'; }

suite_format() { sources | xargs clang-format --dry-run -Werror; }

suite_tidy() {
  sources | grep '\.cc$' | xargs -P "$JOBS" -n 4 clang-tidy -p "$ROOT/build/release" --quiet \
    --extra-arg=-Wno-unknown-warning-option
}

# --- tests --------------------------------------------------------------------------------------

run_ctest() {
  local preset=$1 label=$2 report=$3
  shift 3
  cd "$ROOT/build/$preset"
  ctest -L "^$label\$" --no-tests=error --output-on-failure --output-junit "$report" "$@"
}

suite_unit_preset() {
  local report=$2
  export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  export LSAN_OPTIONS=suppressions=$ROOT/tests/lib/lsan.supp:print_suppressions=0 TSAN_OPTIONS=halt_on_error=1
  as_owner bash -c "$(declare -f run_ctest); ROOT=$ROOT; run_ctest $1 unit $report -j $JOBS"
}

suite_unit() { suite_unit_preset release "$1"; }

cluster_env() { eval "$("$LOCAL/env" --name "$CLUSTER")"; }

suite_integration() {
  cluster_env
  run_ctest release integration "$1"
}

FUZZ_SECONDS=10

suite_fuzz() { as_owner nice -n 5 "$ROOT/tests/fuzz/run" "$FUZZ_SECONDS"; }

suite_vm() { run_ctest release vm "$1"; }

# run_pytest REPORT ARGUMENT...: Debian's pytest, whatever else is installed on the machine.
run_pytest() {
  local report=$1
  shift
  cluster_env
  cd "$ROOT/tests/e2e"
  /usr/bin/python3 -B -m pytest -p no:cacheprovider -v --junitxml="$report" "$@"
}

# Tests wait for a second or a minute; more machines at once than processors would make all of them late.
if [[ $HANDLER == runc ]]; then E2E_WORKERS=4; else E2E_WORKERS=1; fi

suite_e2e() { run_pytest "$1" -n "$E2E_WORKERS" -m 'not faults and not microvm and not chart' --runtime-handler "$HANDLER"; }

suite_microvm() { run_pytest "$1" -m microvm --runtime-handler "$HANDLER"; }

# The chart comes to a cluster that is up, as on a user's.
suite_chart() {
  cluster_env
  # That of the tests of profiles, which Helm would not take over.
  "$KUBECTL" delete crd fargateprofiles.farlet.dev --ignore-not-found --wait
  cluster_up
  run_pytest "$1" -m chart --runtime-handler "$HANDLER"
}

suite_faults() { run_pytest "$1" -m faults --runtime-handler "$HANDLER"; }

# --- cluster ------------------------------------------------------------------------------------

cluster_up() {
  "$LOCAL/up" --name "$CLUSTER" --runtime-handler "$HANDLER" --farlet "$FARLET" \
    --shim "$ROOT/build/release/runtime/shim/containerd-shim-farlet-v2" \
    --guest "$ROOT/build/release/runtime/guest/farlet-guest" ${FARLET_CONTAINERD_2:+--containerd-2} "$@"
}

# Without the chart: the tests of profiles bring webhooks of their own.
suite_cluster_up() {
  "$LOCAL/down" --name "$CLUSTER"
  cluster_up --no-fargate
}

# what_is_left: looked for here once more, without the scripts that are under test.
what_is_left() {
  local pattern="farlet-$CLUSTER"
  grep -lzx "FARLET_LOCAL=$CLUSTER" /proc/[0-9]*/environ 2>/dev/null | sed 's/^/process /'
  grep -oE " [^ ]*/farlet-local/$CLUSTER(/[^ ]*)? " /proc/self/mountinfo | sed 's/^/mount/'
  find /run/netns -maxdepth 1 \( -name "$pattern" -o -name "$pattern-*" \) 2>/dev/null | sed 's/^/namespace /'
  find /sys/fs/cgroup -maxdepth 2 -name "$pattern-*" 2>/dev/null | sed 's/^/cgroup /'
  find /var/lib/farlet-local/"$CLUSTER" /run/farlet-local/"$CLUSTER" -maxdepth 0 2>/dev/null | sed 's/^/files /'
}

suite_cluster_down() {
  local left
  "$LOCAL/down" --name "$CLUSTER"
  left=$(what_is_left) || true # a find without its folder fails; what counts is what was found
  [[ -z $left ]] || { printf 'left behind:\n%s\n' "$left" && return 1; }
}

# --- CRI validation -----------------------------------------------------------------------------

suite_critest() {
  "$ROOT/tests/critest/run" --name "critest${FARLET_TEST_CLUSTER:-}" --out "$OUT/critest" --report "$1" \
    --shim "$ROOT/build/release/runtime/shim/containerd-shim-farlet-v2" \
    --guest "$ROOT/build/release/runtime/guest/farlet-guest"
}

# --- benchmark ----------------------------------------------------------------------------------

suite_bench_smoke() { "$ROOT/tests/bench/pods/run" --pods 10 --rounds 1 --settle 3 --idle 10 --out "$OUT/bench-smoke"; }

suite_bench() { "$ROOT/tests/bench/pods/run" --pods 10,100 --out "$OUT/bench"; }
