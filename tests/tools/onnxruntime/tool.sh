# The CPU build of ONNX Runtime, as its Python wheel carries it: the library
# and the notices that must travel with it. Needs glibc and libstdc++.
version=1.32.0
pin="onnxruntime $version"
artifact=libonnxruntime.so.$version

build() {
    need python3 "apt-get install -y python3 python3-pip"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$1/wheel" "onnxruntime==$version"
    python3 - "$1" <<'PY'
import glob, os, sys, zipfile

home = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(os.path.join(home, "wheel", "onnxruntime-*.whl"))[0])
for name in wheel.namelist():
    base = os.path.basename(name)
    if base.startswith("libonnxruntime.so.") or base in ("LICENSE", "ThirdPartyNotices.txt"):
        with open(os.path.join(home, base), "wb") as out:
            out.write(wheel.read(name))
PY
    rm -r "$1/wheel"
    chmod 0755 "$1/$artifact"
}
