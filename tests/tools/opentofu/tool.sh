# OpenTofu, built from its Go module by the wrapper module in this folder:
# `go install` refuses a module whose go.mod replaces another. go.sum holds the
# checksum of every source that goes in. About six minutes on two cores.
version=1.12.6
pin="opentofu $version"
artifact=tofu

build() {
    need go "install Go 1.26"
    cd "$tool_source"
    GOWORK=off GOFLAGS= GOTOOLCHAIN=local go build -buildvcs=false -trimpath \
        -ldflags "-s -w -X github.com/opentofu/opentofu/version.dev=no" \
        -o "$1/tofu" github.com/opentofu/opentofu/cmd/tofu
    "$1/tofu" version
}
