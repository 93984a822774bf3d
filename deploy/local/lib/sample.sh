# shellcheck shell=bash
print_next_steps() { echo "export KUBECONFIG=$ADMIN_KUBECONFIG"; }
