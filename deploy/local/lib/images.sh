# shellcheck shell=bash
# The images that the cluster's registries hold, made from this machine's Debian packages. The result is the
# registries' storage, kept in the cache under a hash of everything it is made from.

# shellcheck disable=SC2034 # used by the registry's step
PRIVATE_IMAGE=private/busybox:1

images_recipe_hash() {
  {
    sha256sum <"$LOCAL_DIR/lib/images.sh"
    cat "$LOCAL_DIR"/images/*
    dpkg-query -W -f '${Package} ${Version}\n' busybox-static nginx-light libc6 libssl3 libpcre2-8-0
  } | sha256sum | cut -c 1-16
}

images_dir() { echo "$FARLET_CACHE/images/$(images_recipe_hash)"; }

# busybox_root ROOT: the static busybox under all its names but its own, and what programs expect of a root.
busybox_root() {
  local root=$1 name
  mkdir -p "$root"/{bin,dev,etc,home,proc,root,run,sys,tmp,usr/sbin,usr/bin,var/log}
  chmod 1777 "$root/tmp"
  cp /bin/busybox "$root/bin/busybox"
  for name in $("$root/bin/busybox" --list); do
    [[ $name == busybox ]] || ln -sf busybox "$root/bin/$name"
  done
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nginx:x:101:101:nginx:/:/bin/false \
    nobody:x:65534:65534:nobody:/home:/bin/false >"$root/etc/passwd"
  printf '%s\n' root:x:0: nginx:x:101: nogroup:x:65534: >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}

# copy_program ROOT PROGRAM: with the libraries that it is linked to.
copy_program() {
  local root=$1 program=$2 file
  for file in "$program" $(ldd "$program" | grep -o '/[^ ]*'); do
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
  done
}

nginx_root() {
  local root=$1
  busybox_root "$root"
  copy_program "$root" /usr/sbin/nginx
  mkdir -p "$root"/etc/nginx/conf.d "$root"/usr/share/nginx/html "$root"/var/log/nginx "$root"/var/lib/nginx
  cp /etc/nginx/mime.types "$LOCAL_DIR/images/nginx.conf" "$root/etc/nginx/"
  cp "$LOCAL_DIR/images/default.conf" "$root/etc/nginx/conf.d/"
  cp "$LOCAL_DIR/images/index.html" "$root/usr/share/nginx/html/"
  ln -s /dev/stdout "$root/var/log/nginx/access.log"
  ln -s /dev/stderr "$root/var/log/nginx/error.log"
}

pause_root() {
  mkdir -p "$1"
  gcc -static -Os -Wall -Wextra -s -o "$1/pause" "$LOCAL_DIR/images/pause.c"
}

# make_image LAYOUT TAG ROOT CONFIG...: an OCI image out of a folder. Its label holds its own name: tags of
# the same content would otherwise share one image ID, which changes what a node decides about pull secrets.
make_image() {
  local layout=$1 tag=$2 root=$3 bundle=$1.bundle
  shift 3
  [[ -d $layout ]] || umoci init --layout "$layout"
  rm -rf "$bundle"
  umoci new --image "$layout:$tag"
  umoci unpack --image "$layout:$tag" "$bundle"
  cp -a "$root/." "$bundle/rootfs/"
  umoci repack --image "$layout:$tag" "$bundle"
  umoci config --image "$layout:$tag" --config.label "farlet.dev/image=$(basename "$layout"):$tag" \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
  rm -rf "$bundle"
}

make_layouts() {
  local work=$1 tag nginx=(--config.cmd nginx --config.cmd -g --config.cmd 'daemon off;'
    --config.exposedports 80/tcp --config.stopsignal SIGQUIT)
  pause_root "$work/root/pause"
  busybox_root "$work/root/busybox"
  nginx_root "$work/root/nginx"
  make_image "$work/pause" 3.10 "$work/root/pause" --config.entrypoint /pause --config.user 65535:65535
  for tag in latest 1.36; do make_image "$work/busybox" "$tag" "$work/root/busybox" --config.cmd sh; done
  for tag in latest alpine; do make_image "$work/nginx" "$tag" "$work/root/nginx" "${nginx[@]}"; done
  make_image "$work/private" 1 "$work/root/busybox" --config.cmd sh
}

# fill_registry STORAGE LAYOUT:TAG=NAME:TAG...: pushes into a registry that runs for that time only, in a
# network of its own.
fill_registry() {
  local storage=$1 work=$2 pair
  shift 2
  # shellcheck disable=SC2016 # expanded by the inner shell
  for pair in "$@"; do echo "oci:$work/${pair%%=*} docker://127.0.0.1:5000/${pair#*=}"; done |
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$storage unshare --net -- bash -euc '
      ip link set lo up
      docker-registry serve "$0" >"$1/registry.log" 2>&1 &
      trap "kill $!" EXIT
      for _ in {1..100}; do curl -fsS -o /dev/null http://127.0.0.1:5000/v2/ 2>/dev/null && break; sleep 0.1; done
      while read -r from to; do skopeo copy -q --dest-tls-verify=false "$from" "$to"; done
    ' "$LOCAL_DIR/manifests/registry.yml" "$work"
}

build_images() {
  local target=$1 work=$1.new
  rm -rf "$work" && mkdir -p "$work/work"
  make_layouts "$work/work"
  fill_registry "$work/registry" "$work/work" pause:3.10=pause:3.10 busybox:latest=library/busybox:latest \
    busybox:1.36=library/busybox:1.36 nginx:latest=library/nginx:latest nginx:alpine=library/nginx:alpine
  fill_registry "$work/registry-private" "$work/work" "private:1=$PRIVATE_IMAGE"
  rm -rf "$work/work"
  mv "$work" "$target"
}

# ensure_in_cache DIR WHAT LOG BUILDER: BUILDER makes DIR unless it is there; one build at a time, whoever asks.
ensure_in_cache() {
  local dir=$1 what=$2 log=$FARLET_CACHE/log/$3 builder=$4
  if [[ -d $dir ]]; then
    detail "in the cache ($dir)"
    return
  fi
  mkdir -p "$FARLET_CACHE/log" "$FARLET_CACHE/images"
  (
    flock 9
    [[ -d $dir ]] || run_logged "$what" "$log" "$builder" "$dir"
  ) 9>"$FARLET_CACHE/images.lock"
}

ensure_images() { ensure_in_cache "$(images_dir)" "building the images" images.log build_images; }
