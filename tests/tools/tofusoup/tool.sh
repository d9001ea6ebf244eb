# A second client of the plugin protocol, which shares no code with ours nor
# with a core: tofusoup, in a venv of its own for its many dependencies.
pin="tofusoup $(cksum <"$tool_source/requirements.txt")"
artifact=bin/python

build() {
    need python3 "apt-get install -y python3 python3-venv"
    python3 -m venv "$1" || {
        echo "this Python has no venv: apt-get install -y python3-venv"
        return 1
    }
    "$1/bin/python" -m pip install --quiet --no-deps --requirement "$tool_source/requirements.txt"
    "$1/bin/python" -m pip check
}
