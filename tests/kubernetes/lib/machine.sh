# A machine of its own for a node: namespaces of mounts, processes, network, host
# name and IPC, whose first process is `node --boot DIR`. When that is killed, all
# that runs inside ends, and all that was mounted inside is gone. Sourced.

# cannot SENTENCE: this machine cannot have such a node.
cannot() {
    echo "node: $1" >&2
    exit 125
}

require_privileges() {
    local program
    [ "$(id -u)" = 0 ] || cannot "only root can make the namespaces and mounts of a Kubernetes node"
    for program in unshare nsenter ip mount findmnt openssl flock; do
        command -v "$program" >/dev/null || cannot "there is no $program"
    done
    unshare --mount --pid --fork --net true 2>/dev/null || cannot "no namespaces can be made here"
}

# The name of the node's control group, in every hierarchy.
group() { echo "falaj-$(basename "$dir")-$(printf '%s' "$dir" | cksum | cut -d ' ' -f 1)"; }

# Where control groups are: each hierarchy of version 1, that of version 2, or both.
hierarchies() { findmnt --noheadings --types cgroup,cgroup2 --output TARGET | sort -u; }

make_groups() {
    local at file
    for at in $(hierarchies); do
        mkdir -p "$at/$(group)" || cannot "no control group can be made in $at"
        # A new cpuset is empty, and nothing runs in an empty one.
        for file in cpuset.cpus cpuset.mems; do
            [ ! -f "$at/$(group)/$file" ] || [ ! -s "$at/$file" ] || cat "$at/$file" >"$at/$(group)/$file"
        done
    done
}

remove_groups() {
    local at try
    for at in $(hierarchies); do
        for try in $(seq 100); do
            [ -d "$at/$(group)" ] || break
            find "$at/$(group)" -depth -type d -exec rmdir {} \; 2>/dev/null || true
            [ "$try" = 1 ] || sleep 0.1
        done
        [ ! -d "$at/$(group)" ] || echo "node: $at/$(group) cannot be removed" >&2
    done
}

# Runs as the first process of the namespaces.
boot() {
    local name value
    mount --make-rslave /
    mount -t proc proc /proc
    # The kubelet wants these and would set them for the machine outside, too: it
    # is shown that they are set already.
    mkdir -p "$dir/machine/sysctl"
    while read -r name value; do
        echo "$value" >"$dir/machine/sysctl/$(basename "$name")"
        mount --bind "$dir/machine/sysctl/$(basename "$name")" "/proc/sys/$name"
    done <<'SYSCTLS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTLS
    mount -t tmpfs -o mode=755 tmpfs /run
    for name in /var/lib /var/log; do
        mkdir -p "$dir/machine$name"
        mount --bind "$dir/machine$name" "$name"
    done
    mount --make-rshared /
    hostname "$node_name"
    boot_network
    : >"$dir/run/booted"
    while :; do
        sleep infinity &
        wait
    done
}

# A node has an address that is not loopback, a way to its services, and none out.
boot_network() {
    ip link set lo up
    ip link add node0 type bridge
    ip address add "$address/32" dev node0
    ip link set node0 up
    ip route add "$service_range" dev node0
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

start_machine() {
    local place try unshared
    for place in "$dir" "$tools_home"; do
        case $place/ in /run/* | /var/run/* | /var/lib/* | /var/log/*)
            cannot "$place lies where the node has files of its own; choose another place" ;;
        esac
    done
    make_groups
    setsid unshare --mount --pid --fork --kill-child=KILL --net --uts --ipc \
        "$here/node" --boot "$dir" >"$dir/log/machine.log" 2>&1 </dev/null &
    unshared=$!
    disown
    for try in $(seq 200); do
        [ ! -e "$dir/run/booted" ] || break
        kill -0 "$unshared" 2>/dev/null || cannot "no machine boots here: $(tail -n 3 "$dir/log/machine.log")"
        sleep 0.05
    done
    [ -e "$dir/run/booted" ] || cannot "the machine does not boot: $(tail -n 3 "$dir/log/machine.log")"
    tr -d ' ' <"/proc/$unshared/task/$unshared/children" >"$dir/run/machine.pid"
}

# The processes of a machine, that of `unshare` first, by their command lines:
# also those of one whose files are gone.
machine_pids() {
    local found words
    for found in /proc/[0-9]*; do
        { mapfile -d '' -t words <"$found/cmdline"; } 2>/dev/null || continue
        [ "${words[*]: -2}" != "--boot $dir" ] || echo "${found#/proc/}"
    done
}

# Sets `first` to the first process, as it is seen from outside, and `enter` to what
# runs a command with all the namespaces of the machine.
find_first() {
    first=$(cat "$dir/run/machine.pid" 2>/dev/null) || first=
    [ -n "$first" ] && grep -qzxF -- --boot "/proc/$first/cmdline" 2>/dev/null || {
        echo "node: none runs in $dir; start it: tests/kubernetes/node up $dir" >&2
        return 1
    }
    enter=(nsenter --target "$first" --mount --pid --net --uts --ipc --)
}

inside() { "${enter[@]}" "$@"; }

stop_machine() {
    local pids try
    pids=$(machine_pids)
    # shellcheck disable=SC2086
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
    for try in $(seq 200); do
        [ -n "$(machine_pids)" ] || break
        sleep 0.05
    done
    remove_groups
}
