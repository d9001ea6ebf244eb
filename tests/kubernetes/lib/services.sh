# The programs of a node: how each is started, and when it is there. Sourced.

# start NAME COMMAND...: in the machine, with a log and a file with its process.
start() {
    local name=$1
    shift
    # shellcheck disable=SC2016
    "${enter[@]}" setsid env -i PATH="$programs:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$dir/machine" \
        sh -c 'echo $$ >"$0"; exec "$@"' "$dir/run/$name.pid" "$@" </dev/null >>"$dir/log/$name.log" 2>&1 9>&- &
    disown
}

# runs NAME: whether it does.
runs() {
    local pid
    pid=$(cat "$dir/run/$1.pid" 2>/dev/null) && inside kill -0 "$pid" 2>/dev/null
}

# stop NAME: as a crash would.
stop() {
    runs "$1" || return 0
    inside kill -KILL "$(cat "$dir/run/$1.pid")" 2>/dev/null || true
    while runs "$1"; do sleep 0.05; done
    rm -f "$dir/run/$1.pid"
}

# await NAME WHAT COMMAND...: until the command succeeds; the service must run.
await() {
    local name=$1 what=$2 until=$((SECONDS + 120))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -gt "$until" ] || { [ -e "$dir/run/$name.pid" ] && ! runs "$name"; }; then
            echo "node: $what; the end of $dir/log/$name.log:" >&2
            tail -n 8 "$dir/log/$name.log" >&2
            return 1
        fi
        sleep 0.1
    done
}

# listens HOST PORT: whether something does. ready HOST PORT: by what it says itself.
listens() { inside bash -c "exec 3<>/dev/tcp/$1/$2"; }
ready() {
    inside bash -c "exec 3<>/dev/tcp/$1/$2; printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3; grep -q ' 200 ' <&3"
}

kubectl() {
    inside "$programs/kubectl" --kubeconfig "$dir/kubeconfig" "$@"
}

start_etcd() {
    start etcd "$programs/etcd" --name "$node_name" --data-dir "$dir/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster "$node_name=http://127.0.0.1:2380" --log-level warn
}

start_kube-apiserver() {
    local pki=$dir/pki
    start kube-apiserver "$programs/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
        --bind-address "$address" --advertise-address "$address" --secure-port 6443 \
        --service-cluster-ip-range "$service_range" --authorization-mode Node,RBAC \
        --enable-admission-plugins NodeRestriction --client-ca-file "$pki/ca.pem" \
        --tls-cert-file "$pki/apiserver.pem" --tls-private-key-file "$pki/apiserver.key" \
        --kubelet-certificate-authority "$pki/ca.pem" --kubelet-preferred-address-types InternalIP \
        --kubelet-client-certificate "$pki/apiserver-kubelet-client.pem" \
        --kubelet-client-key "$pki/apiserver-kubelet-client.key" \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$pki/service-accounts.pub" \
        --service-account-signing-key-file "$pki/service-accounts.key"
    await kube-apiserver "the API server is not ready" kubectl get --raw /readyz
}

# Faster than the defaults, which are meant for many nodes.
client_rates="--kube-api-qps=200 --kube-api-burst=400"

start_kube-controller-manager() {
    # shellcheck disable=SC2086
    start kube-controller-manager "$programs/kube-controller-manager" $client_rates --leader-elect=false \
        --kubeconfig "$dir/etc/kube-controller-manager.kubeconfig" --use-service-account-credentials \
        --authentication-kubeconfig "$dir/etc/kube-controller-manager.kubeconfig" \
        --authorization-kubeconfig "$dir/etc/kube-controller-manager.kubeconfig" \
        --service-account-private-key-file "$dir/pki/service-accounts.key" --root-ca-file "$dir/pki/ca.pem"
}

start_kube-scheduler() {
    # shellcheck disable=SC2086
    start kube-scheduler "$programs/kube-scheduler" $client_rates --leader-elect=false \
        --kubeconfig "$dir/etc/kube-scheduler.kubeconfig" \
        --authentication-kubeconfig "$dir/etc/kube-scheduler.kubeconfig" \
        --authorization-kubeconfig "$dir/etc/kube-scheduler.kubeconfig"
}

start_containerd() {
    start containerd "$programs/containerd" --config "$dir/etc/containerd.toml"
    await containerd "containerd does not answer" containerd version
}

start_kubelet() {
    start kubelet "$programs/kubelet" --config "$dir/etc/kubelet.yaml" --root-dir "$dir/kubelet" \
        --kubeconfig "$dir/etc/kubelet.kubeconfig" --hostname-override "$node_name" --node-ip "$address" \
        --node-labels topology.kubernetes.io/region=dubai-1,topology.kubernetes.io/zone=dubai-1a
}

start_kube-proxy() {
    start kube-proxy "$programs/kube-proxy" --config "$dir/etc/kube-proxy.yaml" --hostname-override "$node_name"
}

start_registry() {
    start registry "$programs/registry" serve "$dir/etc/registry.yaml"
    await registry "the registry does not answer" listens "$address" 5000
}

start_aws() {
    "$tools/install" python
    start aws "$("$tools/path" python)" -c 'import sys; from moto.server import main; main(sys.argv[1:])' \
        -H "$address" -p 5555
    await aws "moto does not answer" listens "$address" 5555
}

start_network-policies() {
    start network-policies "$programs/network-policies" --kubeconfig "$dir/kubeconfig" \
        --node "$node_name" --services "$service_range"
    await network-policies "NetworkPolicies are not enforced" inside "$programs/iptables" -n -L KUBE-ROUTER-FORWARD
}
