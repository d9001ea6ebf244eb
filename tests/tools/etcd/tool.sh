# The store of the Kubernetes API server, built from its Go module with the
# checksums in this folder.
version=3.6.16
pin="etcd $version"
artifact=etcd

build() {
    go_build "$1/etcd" "" go.etcd.io/etcd/server/v3
    "$1/etcd" --version
}
