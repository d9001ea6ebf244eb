# The names of a cluster, by CoreDNS with a few of its plugins: the main.go in this
# folder, with the checksums beside it.
version=1.14.7
pin="coredns $version"
artifact=coredns

build() {
    go_build "$1/coredns" "" .
    "$1/coredns" -version
}
