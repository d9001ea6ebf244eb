"""Measures, prints and writes docs/benchmarks.md. Started by scripts/bench."""

import argparse
import os
import pathlib
import sys
import tempfile

import page
import provider
import serving

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--onnxruntime", required=True)
    parser.add_argument("--tofu", required=True)
    parser.add_argument("--fastapi", required=True, help="interpreter with the peer's requirements")
    parser.add_argument("--quick", action="store_true", help="short slices; only prints")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.rounds, arguments.seconds, arguments.plans = (1, 1, 2) if quick else (3, 4, 5)

    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as directory:
        scratch = pathlib.Path(directory)
        print("measuring the provider ...", file=sys.stderr)
        cores = ["terraform", arguments.tofu]
        provided = provider.measure(ROOT, scratch, cores, arguments.onnxruntime, arguments.plans)
        print("measuring predictions ...", file=sys.stderr)
        bench = serving.Serving(ROOT, scratch, arguments.onnxruntime, arguments.fastapi)
        served = bench.measure(arguments.rounds, arguments.seconds)
    text = page.render(arguments, (before, os.getloadavg()[0]), served, provided)
    print(text)
    if not quick:
        (ROOT / "docs/benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
