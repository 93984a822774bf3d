# shellcheck shell=bash
# Two registries in the cluster's namespace: 5000 answers for the public names, 5001 asks for a password.

REGISTRY_USER=farlet

# start_registry NAME PORT ENVIRONMENT...
start_registry() {
  local name=$1 port=$2
  shift 2
  if [[ ! -d $STATE/$name ]]; then
    cp -a "$(images_dir)/$name" "$STATE/$name.new"
    mv "$STATE/$name.new" "$STATE/$name"
  fi
  start_process "$name" "$NETNS" env REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="$STATE/$name" \
    REGISTRY_HTTP_ADDR=":$port" "$@" "$(command -v docker-registry)" serve "$LOCAL_DIR/manifests/registry.yml"
}

registry_answers() { [[ $(in_net curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$1/v2/") == "$2" ]]; }

start_registries() {
  local secret=$STATE/registry-password
  rm -rf "$STATE"/registry{,-private}.new
  if [[ ! -s $secret || ! -s $STATE/registry.htpasswd ]]; then
    (
      umask 077
      random_word 24 | write_file "$secret"
      htpasswd -iBn "$REGISTRY_USER" <"$secret" | write_file "$STATE/registry.htpasswd"
    )
  fi
  start_registry registry 5000
  start_registry registry-private 5001 REGISTRY_AUTH=htpasswd REGISTRY_AUTH_HTPASSWD_REALM=farlet \
    REGISTRY_AUTH_HTPASSWD_PATH="$STATE/registry.htpasswd"
  wait_ready registry 30 registry_answers 5000 200
  wait_ready registry-private 30 registry_answers 5001 401
}
