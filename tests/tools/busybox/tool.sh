# One static program that is a shell and the usual commands: what the pods of
# tests run. From Debian's package, taken apart in a folder.
pin="debian busybox-static"
artifact=busybox

build() {
    debian_packages "$1/root" busybox-static
    ln -s root/bin/busybox "$1/busybox"
    "$1/busybox" true
}
