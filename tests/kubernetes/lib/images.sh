# Images of one static program each, written without a builder. Sourced.

# digest FILE, size FILE: of a blob.
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
size() { stat -c %s "$1"; }

# program_image OUT NAME PROGRAM COMMAND-AS-JSON: an OCI archive with one static
# program in /bin, and busybox's other names where it is that.
program_image() {
    local out=$1 name=$2 program=$3 command=$4 work link
    work=$(mktemp -d)
    mkdir -p "$work"/root/{bin,etc,tmp,home} "$work"/image/blobs/sha256
    chmod 1777 "$work/root/tmp"
    cp "$program" "$work/root/bin/"
    if [ "$(basename "$program")" = busybox ]; then
        for link in $("$program" --list); do
            [ "$link" = busybox ] || ln -s busybox "$work/root/bin/$link"
        done
    fi
    printf 'root:x:0:0::/:/bin/sh\nuser:x:65532:65532::/home:/bin/sh\n' >"$work/root/etc/passwd"
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/root" -cf "$work/layer" .

    # blob FILE: moves it to where its digest says; prints a descriptor's fields.
    blob() {
        local found
        found=$(digest "$1")
        printf '"digest":"sha256:%s","size":%s' "$found" "$(size "$1")"
        mv "$1" "$work/image/blobs/sha256/$found"
    }
    local layer layer_digest config manifest media=application/vnd.oci.image
    layer_digest=$(digest "$work/layer")
    layer=$(blob "$work/layer")
    printf '{"architecture":"amd64","os":"linux","config":{"User":"65532:65532","Cmd":%s,"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$command" "$layer_digest" >"$work/config"
    config=$(blob "$work/config")
    printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json",%s},"layers":[{"mediaType":"%s.layer.v1.tar",%s}]}' \
        $media $media "$config" $media "$layer" >"$work/manifest"
    manifest=$(blob "$work/manifest")
    printf '{"imageLayoutVersion":"1.0.0"}' >"$work/image/oci-layout"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s.manifest.v1+json",%s,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}]}' \
        $media "$manifest" "$name" "${name##*:}" >"$work/image/index.json"
    tar --sort=name -C "$work/image" -cf "$out" .
    rm -rf "$work"
}

# containerd ARGUMENT...: its client, where the kubelet's images are.
containerd() {
    inside "$programs/ctr" --address "$dir/run/containerd.sock" --namespace k8s.io "$@"
}

# load_image FILE: into containerd, where the kubelet finds it, by its name and by
# its name with the digest, as if it had been pulled so. Prints the latter.
load_image() {
    local said name digest found=
    said=$(containerd images import - <"$1")
    while read -r name digest; do
        containerd images tag --force "$name" "${name%:*}@$digest" >/dev/null
        echo "${name%:*}@$digest"
        found=1
    done < <(sed -nE 's/^unpacking (\S+) \((sha256:\S+)\).*/\1 \2/p' <<<"$said" | grep -v @)
    [ -n "$found" ] || {
        echo "node: $1 names no image; its index.json needs the annotation io.containerd.image.name" >&2
        return 1
    }
}
