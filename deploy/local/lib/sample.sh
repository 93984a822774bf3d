# shellcheck shell=bash
# The sample application: applied, waited for, called through its Service.

SAMPLE_URL=http://hello.default.svc.$CLUSTER_DOMAIN/

sample_is_ready() { kubectl rollout status deployment/hello --timeout 1s >/dev/null 2>&1; }

sample_failed() {
  kubectl get pods -l app=hello -o wide 2>&1 | sed 's/^/        | /' >&2
  kubectl get events --field-selector type=Warning 2>&1 | tail -n 8 | cut -c 1-300 | sed 's/^/        | /' >&2
  fail_with_log "$1" "$(process_log "node-$DEFAULT_NODE")"
}

wait_sample() {
  local start=$SECONDS told=0
  until sample_is_ready; do
    ((SECONDS - start < 120)) || sample_failed "the sample's pods were not ready within 120 s"
    if ((SECONDS - start >= told + 5)); then
      told=$((SECONDS - start))
      detail "waiting for the pods (${told}s): $(kubectl get pods -l app=hello --no-headers 2>/dev/null |
        awk '{printf "%s%s %s %s", sep, $1, $2, $3; sep = "; "}')"
    fi
    sleep 0.2
  done
}

# call_sample: by name, through the cluster's DNS and the Service's address.
call_sample() {
  local address
  address=$(kubectl get service hello -o 'jsonpath={.spec.clusterIP}')
  in_net curl -fsS -m 5 --resolve "hello.default.svc.$CLUSTER_DOMAIN:80:$address" "$SAMPLE_URL"
}

sample_answers() { [[ -n $(call_sample) ]]; }

run_sample() {
  kubectl apply -f "$LOCAL_DIR/sample.yaml" >"$LOGS/sample.log" 2>&1 ||
    fail_with_log "applying $LOCAL_DIR/sample.yaml failed" "$LOGS/sample.log"
  wait_sample
  detail "$(kubectl get deployment hello --no-headers | awk '{print "deployment " $1 ": " $2 " ready"}')"
  wait_for "an answer of the service (kube-proxy)" 60 "$(process_log kube-proxy)" sample_answers
  detail "GET $SAMPLE_URL answers: $(call_sample | sed -n 's/<h1>\(.*\)<\/h1>/\1/p;' | head -n 1)"
}

# print_next_steps SAMPLE: yes when the sample runs.
print_next_steps() {
  cat <<TEXT

  export KUBECONFIG=$ADMIN_KUBECONFIG
  export PATH=$(dirname "$(kube_binary kubectl)"):\$PATH

  kubectl get nodes,pods -o wide
TEXT
  [[ $1 == no ]] || cat <<TEXT
  kubectl logs -f deployment/hello
  kubectl exec -it deployment/hello -- sh
  kubectl port-forward service/hello 8080:80      # then: curl http://127.0.0.1:8080/
TEXT
  cat <<TEXT

  logs of the cluster's processes: $LOGS
  everything of the cluster, for scripts: eval "\$($LOCAL_DIR/env --name $CLUSTER)"
  undo: $LOCAL_DIR/down --name $CLUSTER
TEXT
}
