# The CPU build of ONNX Runtime, as its Python wheel carries it: the library
# and the notices that must travel with it. Needs glibc and libstdc++.
version=1.32.0
pin="onnxruntime $version with notices"
artifact=libonnxruntime.so.$version

build() {
    need python3 "apt-get install -y python3 python3-pip"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$1/wheel" "onnxruntime==$version"
    python3 "$tool_source/unpack.py" "$1/wheel" "$1"
    rm -r "$1/wheel"
}
