# shellcheck shell=bash
# The images that critest pulls by name, made from Debian packages like those of deploy/local/lib/images.sh, whose
# functions these use. The result is a registry's storage, kept in the cache under a hash of all it is made from.

CRITEST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

critest_images_hash() {
  {
    images_recipe_hash
    sha256sum <"$CRITEST_DIR/images.sh"
    cat "$CRITEST_DIR"/images/*
    dpkg-query -W -f '${Package} ${Version}\n' procps util-linux
  } | sha256sum | cut -c 1-16
}

critest_images_dir() { echo "$FARLET_CACHE/images/critest-$(critest_images_hash)"; }

# shared_busybox DIR: Debian's other busybox, unpacked, not installed: the shell of the static one runs its applets
# without looking at the file system, so a masked or forbidden program would run all the same.
shared_busybox() {
  mkdir -p "$FARLET_CACHE/deb" "$1"
  if ! compgen -G "$FARLET_CACHE/deb/busybox_*.deb" >/dev/null; then (cd "$FARLET_CACHE/deb" && apt-get download busybox); fi
  dpkg -x "$(compgen -G "$FARLET_CACHE/deb/busybox_*.deb" | tail -n 1)" "$1"
}

# tool_root ROOT PACKAGE: what the suite's containers run.
tool_root() {
  local root=$1 package=$2 file name
  busybox_root "$root"
  cp "$package/bin/busybox" "$root/bin/busybox"
  for name in $("$root/bin/busybox" --list); do ln -sf busybox "$root/bin/$name"; done
  for file in $(ldd "$root/bin/busybox" | grep -o '/[^ ]*'); do install -D "$file" "$root$file"; done
  # A file of its own: what is mounted over it must not take the other programs with it.
  rm "$root/bin/ls" && cp "$root/bin/busybox" "$root/bin/ls"
  copy_program "$root" /usr/bin/pgrep
  copy_program "$root" /usr/bin/ipcs
  printf '%s\n' www-data:x:33:33:www-data:/var/www:/bin/false >>"$root/etc/passwd"
  printf '%s\n' www-data:x:33: >>"$root/etc/group"
}

# make_roots WORK: the folders that become images.
make_roots() {
  local root=$1/root
  shared_busybox "$1/package"
  tool_root "$root/tools" "$1/package"
  pause_root "$root/pause"
  nginx_root "$root/nginx"
  ln -s ../run "$root/nginx/var/run"
  cp -a "$root/nginx" "$root/hostnet"
  cp "$CRITEST_DIR/images/host-network.conf" "$root/hostnet/etc/nginx/conf.d/default.conf"
  mkdir -p "$root/nnp"
  gcc -static -Os -Wall -Wextra -s -o "$root/nnp/nnp" "$CRITEST_DIR/images/nnp.c"
  chmod 4755 "$root/nnp/nnp"
  cp -a "$root/tools" "$root/groups"
  echo default-user:x:1000:1000::/home:/bin/sh >>"$root/groups/etc/passwd"
  printf '%s\n' default-user:x:1000: group-defined-in-image:x:50000:default-user >>"$root/groups/etc/group"
}

make_critest_layouts() {
  local work=$1 root=$1/root tools=$1/root/tools pair name
  local nginx=(--config.cmd nginx --config.cmd -g --config.cmd 'daemon off;' --config.stopsignal SIGQUIT)
  make_roots "$work"
  make_image "$work/pause" 3.9 "$root/pause" --config.entrypoint /pause --config.user 65535:65535
  make_image "$work/busybox" 1.29-2 "$tools" --config.cmd sh
  make_image "$work/nginx" 1.14-2 "$root/nginx" "${nginx[@]}"
  make_image "$work/hostnet-nginx" latest "$root/hostnet" "${nginx[@]}"
  make_image "$work/nonewprivs" 1.3 "$root/nnp" --config.entrypoint /nnp
  make_image "$work/httpd" 2.4.39-4 "$tools" --config.cmd sh --config.cmd -c \
    --config.cmd 'mkdir -p /www; echo works >/www/index.html; echo httpd serves; exec httpd -f -p 80 -h /www'
  for pair in uid=1002 username=www-data uid-group=1003:1004 username-group=www-data:1004; do
    make_image "$work/user-${pair%%=*}" latest "$tools" --config.cmd sh --config.user "${pair#*=}"
  done
  make_image "$work/predefined-group" latest "$root/groups" --config.cmd sh --config.user 1000
  for name in 1 2 3 latest; do make_image "$work/test-$name" latest "$tools" --config.cmd sh; done
  for name in test all same; do make_image "$work/tag" "$name" "$tools" --config.cmd sh; done
}

# critest_pushes: LAYOUT:TAG=NAME:TAG of every image. Three tags are one image.
critest_pushes() {
  local suite=k8s-staging-cri-tools name
  echo pause:3.9=pause:3.9
  for name in busybox:1.29-2 nginx:1.14-2 nonewprivs:1.3 httpd:2.4.39-4; do echo "$name=e2e-test-images/$name"; done
  for name in user-uid user-username user-uid-group user-username-group predefined-group; do
    echo "$name:latest=$suite/test-image-$name:latest"
  done
  for name in 1 2 3 latest; do echo "test-$name:latest=$suite/test-image-$name:latest"; done
  for name in test all; do echo "tag:$name=$suite/test-image-tag:$name"; done
  for name in 1 2 3; do echo "tag:same=$suite/test-image-tags:$name"; done
  echo "hostnet-nginx:latest=$suite/hostnet-nginx-$(dpkg --print-architecture):latest"
}

build_critest_images() {
  local target=$1 work=$1.new pushes
  rm -rf "$work" && mkdir -p "$work/work"
  make_critest_layouts "$work/work"
  mapfile -t pushes < <(critest_pushes)
  fill_registry "$work/registry" "$work/work" "${pushes[@]}"
  rm -rf "$work/work"
  mv "$work" "$target"
}

ensure_critest_images() {
  ensure_in_cache "$(critest_images_dir)" "building the suite's images" images-critest.log build_critest_images
}

# add_critest_images: into the storage of the cluster's registry. Both hold files by their content's name, so one
# copied over the other is a registry with the images of both.
add_critest_images() {
  rm -rf "$STATE/registry.new"
  cp -a "$(images_dir)/registry" "$STATE/registry.new"
  cp -a "$(critest_images_dir)/registry/." "$STATE/registry.new/"
  rm -rf "$STATE/registry"
  mv "$STATE/registry.new" "$STATE/registry"
}
