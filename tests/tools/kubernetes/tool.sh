# The programs of a Kubernetes control plane and node, and kubectl, built from their Go module
# by the wrapper module in this folder: its own go.mod replaces what it holds by
# paths. go.sum holds the checksum of every source. All in one build, for
# what they share is most of it.
version=1.34.2
pin="kubernetes $version, kubectl"
artifact=bin

build() {
    local stamp=k8s.io/component-base/version programs=k8s.io/kubernetes/cmd
    go_build "$1/bin/" "-X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=34" \
        $programs/kube-{apiserver,controller-manager,scheduler,proxy} $programs/kubectl $programs/kubelet
    "$1/bin/kube-apiserver" --version
}
