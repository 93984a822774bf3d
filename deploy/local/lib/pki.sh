# shellcheck shell=bash
# Keys, certificates and kubeconfigs, made once and kept in the cluster's state.

# sign NAME CA SUBJECT EXTENSION...: a key and a certificate by that authority.
sign() {
  local name=$1 ca=$2 subject=$3 work=$PKI/$1.new
  shift 3
  [[ -s $PKI/$name.crt && -s $PKI/$name.key ]] && return
  printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature,keyEncipherment' "$@" >"$work.ext"
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/$name.key"
  openssl req -new -key "$PKI/$name.key" -subj "$subject" -out "$work.csr"
  openssl x509 -req -in "$work.csr" -CA "$PKI/$ca.crt" -CAkey "$PKI/$ca.key" -days 3650 -sha256 \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$work.ext" -out "$work.crt" 2>/dev/null
  mv -f "$work.crt" "$PKI/$name.crt"
  rm -f "$work".*
}

authority() {
  local name=$1
  [[ -s $PKI/$name.crt && -s $PKI/$name.key ]] && return
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/$name.key"
  openssl req -x509 -new -key "$PKI/$name.key" -subj "/CN=$2" -days 3650 -sha256 \
    -addext 'keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign' -out "$PKI/$name.crt.new"
  mv -f "$PKI/$name.crt.new" "$PKI/$name.crt"
}

client_cert() { sign "$1" ca "$2" extendedKeyUsage=clientAuth; }

apiserver_names() {
  local name names=DNS:localhost
  for name in kubernetes kubernetes.default kubernetes.default.svc "kubernetes.default.svc.$CLUSTER_DOMAIN"; do
    names+=",DNS:$name"
  done
  echo "$names,IP:127.0.0.1,IP:$CLUSTER_IP,IP:$KUBERNETES_SERVICE_IP"
}

create_pki() {
  (
    umask 077
    mkdir -p "$PKI"
    authority ca farlet-local-ca
    authority front-proxy-ca farlet-local-front-proxy-ca
    sign apiserver ca /CN=kube-apiserver extendedKeyUsage=serverAuth "subjectAltName=$(apiserver_names)"
    sign front-proxy-client front-proxy-ca /CN=front-proxy-client extendedKeyUsage=clientAuth
    client_cert apiserver-kubelet-client /CN=kube-apiserver-kubelet-client
    client_cert admin /O=system:masters/CN=admin
    client_cert controller-manager /CN=system:kube-controller-manager
    client_cert scheduler /CN=system:kube-scheduler
    client_cert kube-proxy /CN=system:kube-proxy
    client_cert coredns /CN=farlet-local:coredns
    client_cert serving-approver /CN=farlet-local:serving-approver
    if [[ ! -s $PKI/service-account.pub ]]; then
      openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/service-account.key"
      openssl ec -in "$PKI/service-account.key" -pubout -out "$PKI/service-account.pub" 2>/dev/null
    fi
  )
  # Agents that do not run as root may verify the API server.
  chmod 0711 "$PKI" && chmod 0644 "$PKI/ca.crt"
}

# kubeconfig FILE USER-BLOCK: the server and its authority around the user's credentials.
kubeconfig() {
  (
    umask 077
    write_file "$1" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: $CLUSTER
  cluster:
    server: $API_SERVER
    certificate-authority-data: $(base64 -w0 <"$PKI/ca.crt")
users:
- name: $CLUSTER
  user:
$2
contexts:
- name: $CLUSTER
  context: {cluster: $CLUSTER, user: $CLUSTER}
current-context: $CLUSTER
YAML
  )
}

cert_kubeconfig() {
  [[ -s $STATE/$1.kubeconfig ]] ||
    kubeconfig "$STATE/$1.kubeconfig" "    client-certificate-data: $(base64 -w0 <"$PKI/$1.crt")
    client-key-data: $(base64 -w0 <"$PKI/$1.key")"
}

# random_word LENGTH: lower-case letters and digits, as bootstrap tokens want them.
random_word() { openssl rand -hex 32 | cut -c "1-$1"; }

create_kubeconfigs() {
  local name
  for name in admin controller-manager scheduler kube-proxy coredns serving-approver; do
    cert_kubeconfig "$name"
  done
  if [[ ! -s $STATE/bootstrap-token ]]; then
    (umask 077 && echo "$(random_word 6).$(random_word 16)" | write_file "$STATE/bootstrap-token")
  fi
  [[ -s $STATE/bootstrap.kubeconfig ]] ||
    kubeconfig "$STATE/bootstrap.kubeconfig" "    token: $(<"$STATE/bootstrap-token")"
}
