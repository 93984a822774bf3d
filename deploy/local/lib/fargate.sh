# shellcheck shell=bash
# Fargate profiles on the cluster: the chart's cluster-side parts, installed by Helm, and the webhook as a process, for
# there is no image to run it from.

FARGATE_NAMESPACE=farlet-system
FARGATE_PORT=9443

# adopt_runtime_class: the cluster has had it from the start; Helm takes over only what says that it is its own.
adopt_runtime_class() {
  kubectl label runtimeclass farlet app.kubernetes.io/managed-by=Helm --overwrite
  kubectl annotate runtimeclass farlet --overwrite \
    meta.helm.sh/release-name=farlet "meta.helm.sh/release-namespace=$FARGATE_NAMESPACE"
}

install_chart() {
  adopt_runtime_class
  "$(cached_binary helm)" --kubeconfig "$ADMIN_KUBECONFIG" upgrade --install farlet "$REPO_DIR/deploy/helm/farlet" \
    --namespace "$FARGATE_NAMESPACE" --create-namespace --wait --timeout 60s \
    --set node.enabled=false \
    --set webhook.url="https://$CLUSTER_IP:$FARGATE_PORT/mutate"
}

# The node's agent has to run.
start_fargate() {
  kubectl label node "$DEFAULT_NODE" eks.amazonaws.com/compute-type=fargate --overwrite >/dev/null
  run_logged "installing the chart" "$LOGS/helm.log" install_chart
  start_process webhook "$NETNS" "$STATE/bin/farlet" webhook --kubeconfig "$ADMIN_KUBECONFIG" \
    --address "$CLUSTER_IP" --port "$FARGATE_PORT" --host "$CLUSTER_IP" --namespace "$FARGATE_NAMESPACE" \
    --service farlet-webhook --secret farlet-webhook-tls --configuration farlet --runtime-class farlet
  wait_ready webhook 60 in_net curl -fsSk -m 2 "https://$CLUSTER_IP:$FARGATE_PORT/readyz"
}
