# Simulates nodes, and the pods on them, to a real API server; built from its Go
# module with the checksums in this folder. Beside it lies stages.yaml, its own
# module's descriptions of what such nodes and pods do.
version=0.8.0
pin="kwok $version"
artifact=kwok

build() {
    local module
    go_build "$1/kwok" "" sigs.k8s.io/kwok/cmd/kwok
    module=$(GOFLAGS=-mod=mod GOWORK=off go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
    for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease \
        pod/fast/pod-ready pod/general/pod-complete pod/fast/pod-delete; do
        cat "$module/kustomize/stage/$stage.yaml"
        echo ---
    done >"$1/stages.yaml"
    "$1/kwok" --version
}
