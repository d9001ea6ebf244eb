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
    rounds, seconds, times = (1, 1, 2) if arguments.quick else (3, 4, 5)

    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as directory:
        scratch = pathlib.Path(directory)
        print("measuring the provider ...", file=sys.stderr)
        provided = provider.measure(ROOT, scratch, ["terraform", arguments.tofu], arguments.onnxruntime, times)
        print("measuring predictions ...", file=sys.stderr)
        bench = serving.Serving(ROOT, scratch, arguments.onnxruntime, arguments.fastapi)
        served = bench.measure(rounds, seconds)
    text = page.render(arguments, (before, os.getloadavg()[0]), served, provided, rounds, seconds, times)
    print(text)
    if not arguments.quick:
        (ROOT / "docs/benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
