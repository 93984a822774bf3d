# shellcheck shell=bash
# etcd and the three processes of the control plane, with a production cluster's settings.

# start_control NAME ARGUMENT...: with larger heaps than by default. Their heaps are small at first, and while pods start
# the API server would spend a quarter of its CPU time on collecting them again and again.
start_control() {
  local name=$1
  shift
  start_process "$name" "$NETNS" env GOGC=400 "$(kube_binary "$name")" "$@"
}

start_etcd() {
  # Loopback of the cluster's own namespace: no other process than the API server is meant to reach it.
  start_control etcd --name "$CLUSTER" --data-dir "$STATE/etcd" \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster "$CLUSTER=http://127.0.0.1:2380"
  wait_ready etcd 60 in_net curl -fsS -m 2 http://127.0.0.1:2379/health
}

start_apiserver() {
  start_control kube-apiserver \
    --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --advertise-address="$CLUSTER_IP" --secure-port=6443 \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --client-ca-file="$PKI/ca.crt" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$PKI/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" \
    --kubelet-preferred-address-types=InternalIP,Hostname \
    --service-account-key-file="$PKI/service-account.pub" \
    --service-account-signing-key-file="$PKI/service-account.key" \
    --service-account-issuer="https://kubernetes.default.svc.$CLUSTER_DOMAIN" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --enable-bootstrap-token-auth --allow-privileged=true \
    --service-cluster-ip-range="$SERVICE_CIDR" \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" \
    --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy-client.crt" \
    --proxy-client-key-file="$PKI/front-proxy-client.key"
  wait_ready kube-apiserver 120 kubectl --request-timeout 5s get --raw /readyz
}

# With the default of 20 requests a second the controllers take five seconds to start.
start_controllers() {
  local config=$STATE/controller-manager.kubeconfig
  start_control kube-controller-manager \
    --kubeconfig="$config" --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
    --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/service-account.key" \
    --use-service-account-credentials \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" \
    --allocate-node-cidrs --cluster-cidr="$POD_CIDR" --service-cluster-ip-range="$SERVICE_CIDR" \
    --controllers='*,bootstrapsigner,tokencleaner' --leader-elect=false \
    --flex-volume-plugin-dir="$STATE/flex-volumes" --kube-api-qps=100 --kube-api-burst=200
  config=$STATE/scheduler.kubeconfig
  start_control kube-scheduler \
    --kubeconfig="$config" --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
    --leader-elect=false
}

# The default account is the first thing that pods need and the last thing that the controllers make.
wait_controllers() {
  wait_ready kube-scheduler 60 in_net curl -fsSk -m 2 https://127.0.0.1:10259/healthz
  wait_ready kube-controller-manager 60 kubectl get serviceaccount default -n default
  wait_ready kube-controller-manager 60 kubectl get serviceaccount default -n kube-system
}
