"""Turns the JSON that the quickstart's programs print into sentences.

story.py output NAME | metrics | traffic | labels, with the JSON on standard input.
"""

import json
import sys

METRICS = (("auc", "AUC", "{:.3f}"), ("log_loss", "log loss", "{:.3f}"), ("accuracy", "accuracy", "{:.1%}"), ("calibration_error", "calibration error", "{:.3f}"))


def metrics(outputs: dict) -> str:
    found = outputs["model_metrics"]["value"]
    return ", ".join(f"{name} {form.format(found[key])}" for key, name, form in METRICS if key in found)


def traffic(run: dict) -> str:
    return (
        f"{run['rows']:,} predictions in {run['seconds']:.1f} s: {run['requests_per_second']:,.0f} a second "
        f"over mutual TLS, half within {run['p50_ms']:.1f} ms, 99 in 100 within {run['p99_ms']:.1f} ms"
    )


def main() -> None:
    what, found = sys.argv[1], json.load(sys.stdin)
    if what == "output":
        print(found[sys.argv[2]]["value"])
    elif what == "metrics":
        print(metrics(found))
    elif what == "traffic":
        print(traffic(found))
    elif what == "labels":
        print(f"{found['outcomes']:,} labels arrived: who among them had a job")
    else:
        raise SystemExit(f"story.py knows no {what!r}")


if __name__ == "__main__":
    main()
