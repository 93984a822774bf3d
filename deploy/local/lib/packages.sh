# shellcheck shell=bash
# Debian packages, without the side effects that installing a daemon's package has.

POLICY=/usr/sbin/policy-rc.d

listed_packages() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$LOCAL_DIR/packages.txt"; }

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' 2>/dev/null | awk '$2 ~ /^.i/ {print $1}' | sort -u)
  listed_packages | sort -u | comm -23 - <(echo "$installed")
}

# usable_go: the path of a Go of version 1.21 or later, the first that fetches a newer one by itself.
usable_go() {
  local go minor
  for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    [[ -x $go ]] || continue
    minor=$("$go" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    if [[ -n $minor ]] && ((minor >= 21)); then
      echo "$go"
      return
    fi
  done
  return 1
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 -o APT::Cmd::Disable-Script-Warning=1 "$@"
}

# add_backports: packages of backports are only taken when they are asked for by release.
add_backports() {
  local file=/etc/apt/sources.list.d/bookworm-backports.list
  grep -qrs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d && return
  echo 'deb http://deb.debian.org/debian bookworm-backports main' >"$file"
  detail "added $file"
}

# forbid_services: Debian starts a daemon when its package is installed, unless this script says no.
# One that an administrator had put there comes back in allow_services, even after a killed run.
forbid_services() {
  if [[ -e $POLICY && ! -e $POLICY.farlet-saved ]]; then mv "$POLICY" "$POLICY.farlet-saved"; fi
  printf '#!/bin/sh\n# Put here by %s for the time of its installation.\nexit 101\n' "$LOCAL_DIR/install" >"$POLICY"
  chmod 0755 "$POLICY"
}

allow_services() {
  rm -f "$POLICY"
  if [[ -e $POLICY.farlet-saved ]]; then mv "$POLICY.farlet-saved" "$POLICY"; fi
}

# disable_new_services PACKAGES: those that came with this installation stay off at the next boot as well.
# What was installed before is left as it is.
disable_new_services() {
  local package unit
  command -v systemctl >/dev/null || return 0
  for package in $1; do
    for unit in $(dpkg -L "${package%%/*}" 2>/dev/null | sed -n 's|^/lib/systemd/system/\([^/@]*\.service\)$|\1|p'); do
      systemctl disable --quiet "$unit" 2>/dev/null || true
    done
  done
}
