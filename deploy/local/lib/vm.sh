# shellcheck shell=bash
# Pods in microVMs: the shim of containerd's runtime `farlet`, and the kernel and guest that its machines boot.
# Without them the cluster is whole but for pods of the RuntimeClass `farlet`, which then say what is missing.

SHIM=containerd-shim-farlet-v2

shim_build() { echo "$REPO_DIR/build/release/runtime/shim/$SHIM"; }
guest_build() { echo "$REPO_DIR/build/release/runtime/guest/farlet-guest"; }

# vm_boot_files GUEST: kernel and initramfs around that guest; in the cache, so that clusters share them.
vm_boot_files() { echo "$FARLET_CACHE/vm/$(sha256sum <"$1" | cut -c 1-16)"; }

build_vm() { run_logged "building shim and guest" "$FARLET_CACHE/log/build-vm.log" compile_targets "$SHIM" farlet-guest; }

# build_boot_files GUEST: nothing when they are there and whole.
build_boot_files() {
  run_logged "building the guest's kernel and initramfs" "$FARLET_CACHE/log/vm.log" \
    "$REPO_DIR/deploy/vm/build" --guest "$1" --output "$(vm_boot_files "$1")" --cache "$FARLET_CACHE/deb"
}

# install_vm SHIM GUEST: the cluster runs a copy, as it does of farlet. Pods that run keep what they were started with.
install_vm() {
  local target=$STATE/bin/$SHIM
  mkdir -p "$STATE/bin"
  if ! cmp -s "$1" "$target"; then
    install -m 0755 "$1" "$target.new"
    mv -f "$target.new" "$target"
  fi
  render "$LOCAL_DIR/manifests/vm.yaml" "BOOT=$(vm_boot_files "$2")" "STATE=$STATE" "RUN=$RUN" |
    write_file "$STATE/vm.yaml"
}
