# The Karpenter controller with its kwok cloud, whose machines are simulated nodes;
# built from its Go module with the checksums in this folder. Beside it lie the
# module's resource definitions, in crds.
version=1.14.1
pin="karpenter $version"
artifact=karpenter

build() {
    local module
    go_build "$1/karpenter" "" sigs.k8s.io/karpenter/kwok
    module=$(GOFLAGS=-mod=mod GOWORK=off go list -m -f '{{.Dir}}' sigs.k8s.io/karpenter)
    mkdir "$1/crds"
    cp "$module"/pkg/apis/crds/*.yaml "$module"/kwok/apis/crds/*.yaml "$1/crds/"
    # A module's files are read-only.
    chmod u+w "$1"/crds/*
}
