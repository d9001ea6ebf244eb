"""The framework beside HashiCorp's: one provider written on each, for the same
configurations and the same files (`terraform-provider-items`)."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from statistics import median

import process
import provider

BINARY = "terraform-provider-items"
SOURCES = ("registry.terraform.io/falaj/items", "registry.opentofu.org/falaj/items")
STEPS = ("plan", "apply", "plan without changes", "update", "destroy")
# Beyond this a step is given up: the next would take longer still.
PATIENCE = 240.0

CONFIGURATION = """\
terraform {
  required_providers {
    items = { source = "falaj/items" }
  }
}

variable "directory" {}

variable "purpose" {
  default = "first"
}

provider "items" {
  directory = var.directory
}
"""

# The cores' own time grows with the square of a block's instances, so there are many blocks.
BLOCK = 100
RESOURCE = """
resource "items_item" "block%(block)d" {
  count       = %(count)d
  name        = "item-%(block)d-${count.index}"
  description = "The ${var.purpose} purpose of item ${count.index}"
  replicas    = 1 + count.index %% 5
  ratio       = count.index / 8
  labels      = { team = "platform", index = tostring(count.index) }
  zones       = ["north", "south"]
  limits      = { cpu = 2 }
}
"""


def configuration(items: int) -> str:
    """A configuration of that many resources."""
    starts = range(0, items, BLOCK)
    blocks = [RESOURCE % {"block": at, "count": min(BLOCK, items - start)} for at, start in enumerate(starts)]
    return CONFIGURATION + "".join(blocks)


@dataclass
class Contestant:
    """A provider and the environment that it is measured in."""

    name: str
    binary: pathlib.Path
    environment: dict[str, str] = field(default_factory=dict)
    handshake_ms: float = 0
    schema_mib: float = 0
    schema_own_mib: float = 0
    size_mib: float = 0


@dataclass
class Step:
    """What one run of a core took."""

    seconds: float
    core_cpu: float
    provider_cpu: float
    provider_mib: float


@dataclass
class Series:
    """The steps of every contestant, for one core and one number of resources."""

    core: str
    items: int
    # By step, and in it by contestant, in their order.
    steps: dict[str, list[Step]]
    given_up: str = ""


@dataclass
class Found:
    contestants: list[Contestant]
    series: list[Series]


class Project:
    """One contestant's directory, with a configuration, a state and the items."""

    def __init__(self, directory: pathlib.Path, core: str, contestant: Contestant, items: int):
        self.directory, self.core = directory, core
        self.binary = os.path.realpath(contestant.binary)
        (directory / "items").mkdir(parents=True)
        (directory / "main.tf").write_text(configuration(items))
        overrides = "".join(f'    "{source}" = "{contestant.binary.parent}"\n' for source in SOURCES)
        installation = f"provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  direct {{}}\n}}\n"
        (directory / "cli.rc").write_text(installation)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        self.environment = clean | contestant.environment | {
            "TF_CLI_CONFIG_FILE": str(directory / "cli.rc"),
            "TF_VAR_directory": str(directory / "items"),
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def items(self) -> dict[str, object]:
        """What the files hold, by name."""
        return {file.name: json.loads(file.read_bytes()) for file in (self.directory / "items").iterdir()}

    def step(self, name: str) -> Step:
        if name == "plan":
            return self.run("plan", "-out=planned")
        if name == "apply":
            return self.run("apply", "planned")
        if name == "plan without changes":
            return self.run("plan", "-detailed-exitcode")
        if name == "update":
            return self.run("apply", "-auto-approve", "-var=purpose=second")
        return self.run("destroy", "-auto-approve")

    def run(self, *arguments: str) -> Step:
        log = self.directory / "core.log"
        with log.open("wb") as output:
            began = time.perf_counter()
            running = subprocess.Popen(
                [self.core, *arguments], cwd=self.directory, env=self.environment, stdout=output, stderr=output
            )
            peak = self.watch(running.pid)
            seconds = time.perf_counter() - began
        # It ended and is not waited for yet, so that the kernel still has its accounts.
        core_cpu, provider_cpu = process.split_cpu_seconds(running.pid)
        if running.wait():
            raise SystemExit(f"{self.core} {' '.join(arguments)}:\n{log.read_text()[-4000:]}")
        return Step(seconds, core_cpu, provider_cpu, peak)

    def watch(self, core: int) -> float:
        """Waits for the core to end; the most memory that a provider process had meanwhile."""
        peak, known, looked = 0.0, set(), 0.0
        # All processes are read seldom, those of the provider often.
        ended = os.pidfd_open(core)
        try:
            while not select.select([ended], [], [], 0.02)[0]:
                if time.perf_counter() - looked > 0.1:
                    known = {child for child in process.children(core) if self.is_provider(child)}
                    looked = time.perf_counter()
                for child in known:
                    with contextlib.suppress(OSError):
                        peak = max(peak, process.peak_resident_mib(child))
        finally:
            os.close(ended)
        return peak

    def is_provider(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/exe") == self.binary
        return False


def schema_mib(project: Project, times: int) -> tuple[float, float]:
    """The most memory of a provider process that lives to give its schema, and what of it
    is no file; the medians."""
    peaks = []
    for _ in range(times):
        running = subprocess.Popen(
            [project.core, "providers", "schema", "-json"],
            cwd=project.directory,
            env=project.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        resident, own = 0.0, 0.0
        while running.poll() is None:
            for child in process.children(running.pid):
                if project.is_provider(child):
                    with contextlib.suppress(OSError):
                        resident = max(resident, process.peak_resident_mib(child))
                        own = max(own, process.anonymous_mib(child))
        peaks.append((resident, own))
    resident, own = zip(*peaks)
    return median(resident), median(own)


def series(scratch: pathlib.Path, core: str, contestants: list[Contestant], items: int, rounds: int) -> Series:
    """Step by step, the contestants in turn, so that what else the machine does meets all alike."""
    name = provider.version(core)
    found = Series(name, items, {})
    taken = {step: [[] for _ in contestants] for step in STEPS}
    for round in range(rounds):
        directory = scratch / f"{pathlib.Path(core).name}-{items}-{round}"
        projects = [Project(directory / str(at), core, each, items) for at, each in enumerate(contestants)]
        for step in STEPS:
            for project, steps in zip(projects, taken[step]):
                steps.append(project.step(step))
            made = [project.items() for project in projects]
            if any(items != made[0] for items in made):
                raise SystemExit(f"after `{step}` the files of {contestants[0].name} and its peers differ")
            if max(steps[-1].seconds for steps in taken[step]) > PATIENCE:
                found.given_up = step
                break
        shutil.rmtree(directory)
    for step, each in taken.items():
        if all(each):
            found.steps[step] = [middle(steps) for steps in each]
    return found


def middle(steps: list[Step]) -> Step:
    figures = zip(*[(step.seconds, step.core_cpu, step.provider_cpu, step.provider_mib) for step in steps])
    return Step(*(median(figure) for figure in figures))


def measure(root: pathlib.Path, scratch: pathlib.Path, tofu: str, peer: pathlib.Path, quick: bool) -> Found:
    own = scratch / "tfplugin" / BINARY
    own.parent.mkdir()
    # Without its debug information, which a release does not have either.
    subprocess.run(["strip", "-o", own, root / "target/debug/examples" / BINARY], check=True)
    contestants = [
        Contestant("tfplugin", own),
        Contestant("Go, `TF_LOG_SDK=OFF`", peer, {"TF_LOG_SDK": "OFF"}),
        Contestant("Go", peer),
    ]
    starts: list[list[float]] = [[], []]
    for _ in range(30):
        for contestant, took in zip(contestants, starts):
            took.append(provider.handshake_ms(contestant.binary, scratch, 1))
    for contestant, took in zip(contestants, starts):
        contestant.handshake_ms = median(took)
        project = Project(scratch / f"schema-{contestant.binary.parent.name}", tofu, contestant, 1)
        contestant.schema_mib, contestant.schema_own_mib = schema_mib(project, 5)
        contestant.size_mib = contestant.binary.stat().st_size / 2**20
    runs = [("terraform", contestants, 1_000, 2), (tofu, contestants, 1_000, 2), (tofu, contestants[:2], 10_000, 1)]
    if quick:
        runs = [(tofu, contestants, 100, 1)]
    return Found(contestants, [series(scratch, *run) for run in runs])
