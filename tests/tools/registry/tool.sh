# An OCI registry over a folder, from Debian's package, taken apart in a folder.
pin="debian docker-registry"
artifact=registry

build() {
    debian_packages "$1/root" docker-registry
    ln -s root/usr/bin/docker-registry "$1/registry"
    "$1/registry" --version
}
