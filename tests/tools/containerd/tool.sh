# containerd, runc, the CNI plugins, and what kube-proxy and they call, from
# Debian's packages, taken apart in a folder: nothing is installed on the machine.
packages="containerd runc containernetworking-plugins conntrack iptables libip4tc2
libip6tc2 libxtables12 libmnl0 libnftnl11 libnfnetlink0 libnetfilter-conntrack3"
pin="debian $(echo $packages)"
artifact=bin

build() {
    local program
    # shellcheck disable=SC2086
    debian_packages "$1/root" $packages
    mkdir "$1/bin"
    for program in "$1"/root/usr/bin/{containerd,containerd-shim-runc-v2,ctr} "$1"/root/usr/sbin/runc; do
        ln -s "../root/${program#"$1/root/"}" "$1/bin/"
    done
    # These look for libraries and extensions; in a script of their own, so that
    # nothing else is started with these libraries.
    for program in usr/sbin/conntrack usr/sbin/xtables-nft-multi; do
        run_from_root "$1" "$program"
    done
    for program in iptables ip6tables; do
        for suffix in "" -save -restore; do
            ln -s xtables-nft-multi "$1/bin/$program$suffix"
        done
    done
    "$1/bin/containerd" --version
    "$1/bin/runc" --version
    "$1/bin/iptables" --version
    "$1/bin/conntrack" --version
}
