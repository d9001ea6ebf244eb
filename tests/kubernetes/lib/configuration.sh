# The configuration files of a node's programs. Sourced.

write_configuration() {
    local snapshotter=overlayfs
    # One overlay cannot lie on another.
    [ "$(stat -f -c %T "$dir")" != overlayfs ] || snapshotter=native

    # Where root may not lower the score of the OOM killer, every sandbox would
    # fail without restrict_oom_score_adj.
    cat >"$dir/etc/containerd.toml" <<CONFIG
version = 2
root = "$dir/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$dir/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "falaj.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$programs/cni"
    conf_dir = "$dir/etc/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$dir/etc/registries"
CONFIG

    # The registry speaks plain HTTP: it is reached inside the machine alone.
    mkdir -p "$dir/etc/registries/$address:5000" "$dir/etc/cni"
    cat >"$dir/etc/registries/$address:5000/hosts.toml" <<CONFIG
server = "http://$address:5000"
[host."http://$address:5000"]
  capabilities = ["pull", "resolve", "push"]
CONFIG
    cat >"$dir/etc/registry.yaml" <<CONFIG
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $dir/registry}, delete: {enabled: true}}
http: {addr: "$address:5000"}
CONFIG

    # Every pod has a link of its own to the node, so that all that goes to a
    # service passes by kube-proxy's rules.
    cat >"$dir/etc/cni/10-falaj.conflist" <<CONFIG
{"cniVersion": "0.4.0", "name": "falaj", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pod_range"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONFIG

    : >"$dir/etc/resolv.conf"
    cat >"$dir/etc/kubelet.yaml" <<CONFIG
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$dir/run/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/pki/ca.pem}}
authorization: {mode: Webhook}
tlsCertFile: $dir/pki/kubelet.pem
tlsPrivateKeyFile: $dir/pki/kubelet.key
address: $address
healthzBindAddress: 127.0.0.1
cgroupDriver: cgroupfs
cgroupRoot: /$(group)
enforceNodeAllocatable: [pods]
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
resolvConf: $dir/etc/resolv.conf
clusterDNS: [$service_dns]
clusterDomain: cluster.local
podLogsDir: /var/log/pods
serializeImagePulls: false
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
volumePluginDir: $dir/kubelet/plugins
CONFIG

    # The table of connections has one limit for the whole machine: left as it is.
    cat >"$dir/etc/kube-proxy.yaml" <<CONFIG
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $dir/etc/kube-proxy.kubeconfig}
mode: iptables
clusterCIDR: $pod_range
bindAddress: $address
conntrack: {maxPerCore: 0}
CONFIG
}

# Folders of the node as volumes, since nothing provisions any.
write_volumes() {
    local number
    cat <<'CLASS'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Retain
CLASS
    for number in $(seq 40); do
        mkdir -p "$dir/volumes/$number"
        cat <<VOLUME
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$number}
spec:
  storageClassName: local
  capacity: {storage: 100Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: $dir/volumes/$number}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node_name]}]}]}}
VOLUME
    done
}
