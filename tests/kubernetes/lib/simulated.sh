# Simulated nodes by kwok, and Karpenter, which brings them up and takes them away.
# Sourced.

start_kwok() {
    "$tools/install" kwok
    ln -sf "$("$tools/path" kwok)" "$programs/"
    # Karpenter's kwok cloud writes what the pods ask for as a node's capacity, and
    # counts limits by it; here a node's capacity is what can be had of it.
    sed '/capacity:$/{n; s/\.status\.capacity/.status.allocatable/}' \
        "$(dirname "$("$tools/path" kwok)")/stages.yaml" >"$dir/etc/kwok-stages.yaml"
    start kwok "$programs/kwok" --kubeconfig "$dir/kubeconfig" --config "$dir/etc/kwok-stages.yaml" \
        --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --server-address "$address:10247"
    await kwok "kwok does not answer" listens "$address" 10247
}

# machine_type NAME GPUS CPUS MEMORY PRICE SPOT-PRICE: to be had in both zones.
machine_type() {
    local gpus="" zone
    [ "$2" = 0 ] || gpus="\"nvidia.com/gpu\":\"$2\","
    printf '{"name":"%s","architecture":"amd64","operatingSystems":["linux"],' "$1"
    printf '"resources":{%s"cpu":"%s","memory":"%s","ephemeral-storage":"2Ti","pods":"110"},"offerings":[' "$gpus" "$3" "$4"
    for zone in dubai-1a dubai-1b; do
        offering on-demand "$5" $zone
        printf ,
        offering spot "$6" $zone
        [ $zone = dubai-1b ] || printf ,
    done
    printf ']}'
}

offering() {
    printf '{"Price":%s,"Available":true,"Requirements":[{"key":"karpenter.sh/capacity-type","operator":"In","values":["%s"]},{"key":"topology.kubernetes.io/zone","operator":"In","values":["%s"]}]}' "$2" "$1" "$3"
}

machine_types() {
    printf '['
    machine_type h100-8g 8 192 2Ti 98.32 39.3
    printf ,
    machine_type a100-8g 8 96 1152Gi 40.97 16.4
    printf ,
    machine_type a100-4g 4 48 576Gi 20.6 8.3
    printf ,
    machine_type l40s-1g 1 16 128Gi 3.0 1.2
    printf ,
    machine_type cpu-16c 0 16 64Gi 0.8 0.3
    printf ']\n'
}

start_karpenter() {
    local crds
    runs kwok || start_kwok
    "$tools/install" karpenter
    ln -sf "$("$tools/path" karpenter)" "$programs/"
    crds=$(dirname "$("$tools/path" karpenter)")/crds
    [ -e "$dir/etc/machine-types.json" ] || machine_types >"$dir/etc/machine-types.json"
    kubectl apply --filename "$crds" >/dev/null
    kubectl wait --for=condition=Established --timeout=30s crd/nodepools.karpenter.sh \
        crd/nodeclaims.karpenter.sh crd/kwoknodeclasses.karpenter.kwok.sh >/dev/null
    start karpenter env KUBECONFIG="$dir/kubeconfig" DISABLE_LEADER_ELECTION=true \
        INSTANCE_TYPES_FILE_PATH="$dir/etc/machine-types.json" METRICS_PORT=18080 HEALTH_PROBE_PORT=18081 \
        "$programs/karpenter"
    await karpenter "Karpenter is not ready" ready 127.0.0.1 18081
}
