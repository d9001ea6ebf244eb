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
