"""unpack.py WHEEL_FOLDER INTO: the library of an onnxruntime wheel, with its licence and notices."""

import pathlib
import re
import sys
import zipfile

NOTICES = {"LICENSE": "onnxruntime-LICENSE", "ThirdPartyNotices.txt": "onnxruntime-ThirdPartyNotices.txt"}


def main() -> None:
    folder, into = map(pathlib.Path, sys.argv[1:])
    (wheel,) = folder.glob("onnxruntime-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            base = name.rsplit("/", 1)[-1]
            if re.fullmatch(r"libonnxruntime\.(so\.[\d.]+|[\d.]+\.dylib)", base):
                (into / base).write_bytes(archive.read(name))
                (into / base).chmod(0o755)
            elif name in {f"onnxruntime/{notice}" for notice in NOTICES}:
                (into / NOTICES[base]).write_bytes(archive.read(name))


if __name__ == "__main__":
    main()
