"""The provider: how soon it is there, what it weighs, how long a plan without changes takes."""

import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from statistics import median

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import process

# What Terraform and OpenTofu say to a provider so that it starts as one.
COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
SOURCES = ("registry.terraform.io/falaj/falaj", "registry.opentofu.org/falaj/falaj", "falaj/falaj")


@dataclass
class Core:
    """A core's name and version, and what it took."""

    name: str
    plan_seconds: float
    # The same core with a configuration that has no provider.
    bare_seconds: float
    provider_peak_mib: float


@dataclass
class Found:
    handshake_ms: float
    schema_peak_mib: float
    cores: list[Core]
    server_mib: float
    serve_mib: float


def host_certificate() -> str:
    """A certificate as a core makes one for each start: ECDSA P-521, its own authority."""
    key = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA512()).public_bytes(serialization.Encoding.PEM).decode()


def handshake_ms(provider: pathlib.Path, scratch: pathlib.Path, times: int) -> float:
    """From the start of the process to its handshake line; the median."""
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(scratch),
        "TF_PLUGIN_MAGIC_COOKIE": COOKIE,
        "PLUGIN_PROTOCOL_VERSIONS": "5,6",
        "PLUGIN_CLIENT_CERT": host_certificate(),
    }
    took = []
    for _ in range(times):
        began = time.perf_counter()
        with subprocess.Popen(provider, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
            line = started.stdout.readline()
            took.append((time.perf_counter() - began) * 1e3)
            started.kill()
        if not line.startswith(b"1|6|"):
            raise SystemExit(f"the provider's first line is no handshake: {line!r}")
    return median(took)


def version(core: str) -> str:
    """A core's name and version."""
    said = subprocess.check_output([core, "version"], env={"PATH": os.environ["PATH"]}, text=True)
    return said.splitlines()[0].replace(" v", " ")


class Project:
    """A directory with a configuration, and a core that reads it."""

    def __init__(self, root: pathlib.Path, directory: pathlib.Path, core: str, onnxruntime: str, configuration: str):
        self.directory, self.core = directory, core
        self.provider = root / "target/debug/terraform-provider-falaj"
        (directory / "data").mkdir(mode=0o700)
        key = directory / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(32))
        overrides = "".join(f'    "{source}" = "{self.provider.parent}"\n' for source in SOURCES)
        installation = f"provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  direct {{}}\n}}\n"
        (directory / "cli.rc").write_text(installation)
        (directory / "main.tf").write_text(configuration)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")} | {
            "TF_CLI_CONFIG_FILE": str(directory / "cli.rc"),
            "FALAJ_DATA_DIR": str(directory / "data"),
            "FALAJ_RUNTIME": str(root / "target/debug/falaj"),
            "ORT_DYLIB_PATH": onnxruntime,
            "TF_VAR_key_file": str(key),
            "TF_VAR_data": str(root / "examples/quickstart/data/people.parquet"),
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def start(self, arguments: tuple[str, ...], **how) -> subprocess.Popen:
        return subprocess.Popen([self.core, *arguments], cwd=self.directory, env=self.environment, **how)

    def run(self, *arguments: str) -> tuple[float, float]:
        """Seconds, and the most memory that a provider process had meanwhile."""
        peak, began = 0.0, time.perf_counter()
        log = self.directory / "core.log"
        with log.open("w") as output:
            running = self.start(arguments, stdout=output, stderr=subprocess.STDOUT)
            while running.poll() is None:
                for child in process.children(running.pid):
                    with contextlib.suppress(OSError):
                        if os.readlink(f"/proc/{child}/exe") == str(self.provider):
                            peak = max(peak, process.peak_resident_mib(child))
                time.sleep(0.002)
        took = time.perf_counter() - began
        if running.returncode:
            raise SystemExit(f"{self.core} {' '.join(arguments)}:\n{log.read_text()}")
        return took, peak

    def timed(self, *arguments: str) -> float:
        """Seconds, with nothing else done meanwhile."""
        began = time.perf_counter()
        failed = self.start(arguments, stdout=subprocess.DEVNULL).wait()
        took = time.perf_counter() - began
        if failed:
            raise SystemExit(f"{self.core} {' '.join(arguments)} failed or found changes")
        return took

    def processes(self) -> dict[str, int]:
        """The runtime's processes, by what they were started as."""
        (running,) = (self.directory / "data").glob("*/running.json")
        server = json.loads(running.read_text())["pid"]
        return {process.role(pid): pid for pid in [server, *process.children(server)]}


def measure(root: pathlib.Path, scratch: pathlib.Path, cores: list[str], onnxruntime: str, times: int) -> Found:
    platform = (root / "tests/tests/platform.tf").read_text()
    found = Found(handshake_ms(root / "target/debug/terraform-provider-falaj", scratch, 20), 0, [], 0, 0)
    for core in cores:
        with tempfile.TemporaryDirectory(prefix="falaj-bench-") as bare:
            empty = Project(root, pathlib.Path(bare), core, onnxruntime, 'output "nothing" { value = 1 }\n')
            empty.run("apply", "-auto-approve")
            bare_seconds = median(empty.timed("plan", "-detailed-exitcode") for _ in range(times))
        with tempfile.TemporaryDirectory(prefix="falaj-bench-") as directory:
            project = Project(root, pathlib.Path(directory), core, onnxruntime, platform)
            project.run("apply", "-auto-approve")
            try:
                plan_seconds = median(project.timed("plan", "-detailed-exitcode") for _ in range(times))
                _, plan_peak = project.run("plan", "-detailed-exitcode")
                _, schema_peak = project.run("providers", "schema", "-json")
                runtime = project.processes()
                found.schema_peak_mib = max(found.schema_peak_mib, schema_peak)
                found.server_mib = process.resident_mib(runtime["server"])
                found.serve_mib = process.resident_mib(runtime["serve"])
                found.cores.append(Core(version(core), plan_seconds, bare_seconds, plan_peak))
            finally:
                project.run("destroy", "-auto-approve")
    return found
