# shellcheck shell=bash
kubelet_binary() { kube_binary kubelet; }
