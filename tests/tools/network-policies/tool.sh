# Enforces NetworkPolicies: the main.go in this folder, which is kube-router's
# controller for them, with the checksums beside it; and Debian's ipset, which it
# calls. In the folder `bin`.
version=2.1.0
pin="kube-router $version"
artifact=bin

build() {
    mkdir "$1/bin"
    go_build "$1/bin/network-policies" "" .
    debian_packages "$1/root" ipset libipset13
    run_from_root "$1" usr/sbin/ipset
    "$1/bin/ipset" version
}
