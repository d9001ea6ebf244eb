"""Measures, prints and writes docs/benchmarks.md. Started by scripts/bench."""

import argparse
import os
import pathlib
import sys
import tempfile

import framework
import page
import provider
import serving

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--tofu", required=True)
    parser.add_argument("--framework-go", required=True, type=pathlib.Path, help="the peer's program")
    parser.add_argument("--onnxruntime")
    parser.add_argument("--fastapi", help="interpreter with the peer's requirements")
    parser.add_argument("--only-framework", action="store_true", help="one section; only prints")
    parser.add_argument("--quick", action="store_true", help="short slices; only prints")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.rounds, arguments.seconds, arguments.plans = (1, 1, 2) if quick else (3, 4, 5)

    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as directory:
        sections = measure(arguments, pathlib.Path(directory))
    text = page.head((before, os.getloadavg()[0])) + "".join(sections)
    print(text)
    if not (quick or arguments.only_framework):
        (ROOT / "docs/benchmarks.md").write_text(text)


def measure(arguments: argparse.Namespace, scratch: pathlib.Path) -> list[str]:
    """The page's sections, in its order."""
    sections = []
    if not arguments.only_framework:
        print("measuring the provider ...", file=sys.stderr)
        cores = ["terraform", arguments.tofu]
        provided = provider.measure(ROOT, scratch, cores, arguments.onnxruntime, arguments.plans)
        print("measuring predictions ...", file=sys.stderr)
        bench = serving.Serving(ROOT, scratch, arguments.onnxruntime, arguments.fastapi)
        served = bench.measure(arguments.rounds, arguments.seconds)
        sections = [page.serving_section(arguments, served), page.provider_section(arguments, provided)]
    print("measuring the framework ...", file=sys.stderr)
    # In memory: a file system that reuses what was deleted costs who comes second more.
    memory = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else scratch
    with tempfile.TemporaryDirectory(prefix="falaj-bench-", dir=memory) as directory:
        measured = pathlib.Path(directory)
        found = framework.measure(ROOT, measured, arguments.tofu, arguments.framework_go, arguments.quick)
    return [*sections, page.framework_section(found, ROOT / "tests/peers/framework-go")]


if __name__ == "__main__":
    main()
