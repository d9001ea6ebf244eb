# Shared by `install` and `path`. Sourced, never run.
#
# A tool is a folder here with a `tool.sh` that sets
#   pin        what is installed; a change of it installs again
#   artifact   the file people want, relative to the tool's folder
#   build DIR  a function that fills DIR, which is new and empty
tools_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools_home=${FALAJ_TOOLS:-$(cd "$tools_source/../.." && pwd)/.cache/tools}

load_tool() {
    tool_source=$tools_source/$1
    if [ ! -f "$tool_source/tool.sh" ]; then
        echo "no tool named '$1'; there are: $(list_tools)" >&2
        return 2
    fi
    # shellcheck source=/dev/null
    . "$tool_source/tool.sh"
}

list_tools() {
    local found
    for found in "$tools_source"/*/tool.sh; do
        basename "$(dirname "$found")"
    done | paste -sd ' '
}

# need COMMAND HINT: stops with the hint when the command is missing.
need() {
    command -v "$1" >/dev/null || {
        echo "$1 is missing: $2" >&2
        return 1
    }
}

# go_build OUT LDFLAGS PACKAGE...: builds programs with the go.mod and go.sum in
# the tool's folder, without C; an OUT that ends in / is a folder.
go_build() {
    local out=$1 flags=$2
    shift 2
    need go "install Go 1.26"
    cd "$tool_source"
    GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="${FALAJ_GOFLAGS:-}" go build \
        -buildvcs=false -trimpath -ldflags "-s -w $flags" -o "$out" "$@"
}

# debian_packages DIR PACKAGE...: unpacks packages of this Debian below DIR, with
# lists and a cache of packages of its own: nothing is installed on the machine.
debian_packages() {
    local into=$1 work found
    shift
    need apt-get "these packages come from Debian"
    need dpkg-deb "these packages come from Debian"
    work=$(mktemp -d)
    mkdir -p "$work"/lists/partial "$work"/archives/partial "$work"/debs "$into"
    local apt=(apt-get -qq -o "Dir::State=$work" -o "Dir::State::lists=$work/lists"
        -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$work/debs" && "${apt[@]}" download "$@")
    for found in "$work"/debs/*.deb; do
        dpkg-deb --extract "$found" "$into"
    done
    rm -rf "$work"
}

# run_from_root DIR PROGRAM: a script in DIR/bin for a program below DIR/root, which
# finds its own libraries there.
run_from_root() {
    local libraries=root/usr/lib/$(uname -m)-linux-gnu
    cat >"$1/bin/$(basename "$2")" <<SCRIPT
#!/bin/bash
home=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
export LD_LIBRARY_PATH=\$home/$libraries XTABLES_LIBDIR=\$home/$libraries/xtables
exec -a "\$(basename "\$0")" "\$home/root/$2" "\$@"
SCRIPT
    chmod +x "$1/bin/$(basename "$2")"
}
