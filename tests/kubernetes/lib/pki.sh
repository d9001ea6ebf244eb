# Certificates and kubeconfigs of a node, of one authority. Sourced.

make_authority() {
    mkdir -p "$dir/pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=falaj-test \
        -addext keyUsage=critical,keyCertSign,digitalSignature -keyout "$dir/pki/ca.key" -out "$dir/pki/ca.pem"
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/pki/service-accounts.key"
    openssl ec -in "$dir/pki/service-accounts.key" -pubout -out "$dir/pki/service-accounts.pub"
}

# certificate NAME COMMON-NAME [ORGANISATION [ALTERNATIVE-NAMES]]: for a client and a server.
certificate() {
    local subject="/CN=$2"
    [ -z "${3:-}" ] || subject="/O=$3$subject"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "$subject" \
        -CA "$dir/pki/ca.pem" -CAkey "$dir/pki/ca.key" -addext basicConstraints=critical,CA:FALSE \
        -addext extendedKeyUsage=clientAuth,serverAuth ${4:+-addext "subjectAltName=$4"} \
        -keyout "$dir/pki/$1.key" -out "$dir/pki/$1.pem"
}

# kubeconfig NAME FILE: with what `certificate NAME` made, in one file.
kubeconfig() {
    encoded() { base64 --wrap=0 <"$dir/pki/$1"; }
    (
        umask 077
        cat >"$2" <<CONFIG
apiVersion: v1
kind: Config
current-context: falaj-test
clusters:
- name: falaj-test
  cluster: {server: "https://$address:6443", certificate-authority-data: $(encoded ca.pem)}
users:
- name: $1
  user: {client-certificate-data: $(encoded "$1.pem"), client-key-data: $(encoded "$1.key")}
contexts:
- name: falaj-test
  context: {cluster: falaj-test, user: $1}
CONFIG
    )
}

make_identities() {
    local name
    certificate apiserver kube-apiserver "" \
        "IP:$address,IP:$service_first,IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    certificate apiserver-kubelet-client kube-apiserver-kubelet-client system:masters
    certificate kubelet "system:node:$node_name" system:nodes "IP:$address,DNS:$node_name"
    certificate admin admin system:masters
    for name in kube-controller-manager kube-scheduler kube-proxy; do
        certificate "$name" "system:$name"
    done
    for name in kubelet kube-controller-manager kube-scheduler kube-proxy; do
        kubeconfig "$name" "$dir/etc/$name.kubeconfig"
    done
    kubeconfig admin "$dir/kubeconfig"
}
