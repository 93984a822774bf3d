# shellcheck shell=bash
# Loads every topic. They only define functions and constants.
# shellcheck source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
for topic in cluster process network cgroup pki packages kube-build images registry containerd control-plane \
  addons node-agent vm node fargate sample cleanup; do
  # shellcheck disable=SC1090 # the list above
  . "$LOCAL_DIR/lib/$topic.sh"
done
unset topic
