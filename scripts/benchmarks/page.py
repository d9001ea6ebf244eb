"""The page that `make bench` writes."""

import datetime
import os
import pathlib
import platform
import subprocess

import provider
import serving

HEAD = """\
# Benchmarks

`make bench` measured this page on {date} and wrote it; run it again to have
your own.

- Machine: {machine}.
- {load}

Ratios are what to look at: the peer ran in the same minutes on the same machine, and
another machine gives other times.
"""

SERVING = """
## Single-row predictions

The model of the quickstart: a network of two hidden layers behind its own encoding,
nine inputs of which seven are text, exported as ONNX, run by ONNX Runtime
{onnxruntime} on both sides, one thread a prediction. One row a request, in the JSON of
the Open Inference Protocol, over kept connections with one request at a time each. The
peer is FastAPI {fastapi} with uvicorn {uvicorn} (uvloop, httptools, one worker, no
access log), bodies through pydantic: `tests/peers/fastapi`.

CPU is the server's own, user and system over all its threads, by the kernel's
accounts; the load comes from `falaj replay`, on the same processors. All servers are
up at once and are loaded in turn: {rounds} rounds of {seconds:g} s slices, the median
of the rounds. The loop is closed, so that p99 is that of a server which is never asked
faster than it answers.

### Like for like: plain text, all off

No side encrypts, knows its caller or keeps anything. `bare axum` is the least that answers
these requests in Rust, with nothing checked, counted or routed
(`runtime/examples/bench_bare.rs`): what `falaj serve` takes more is the price of what it
does. The ratios are to FastAPI.

{off}

### Everything on

Falaj: mutual TLS 1.3, the caller's certificate checked against the endpoint's invokers
at every request, metrics, and every request and answer captured, sealed and written
({captured}). FastAPI: TLS with a client certificate required, and no more
than that.

{on}
"""

PROVIDER = """
## Provider and runtime

| what | |
| --- | --- |
| provider, start to handshake line (median of 20) | {handshake_ms:.0f} ms |
| provider, peak memory while its schema is read | {schema_peak_mib:.0f} MiB |
| `falaj server` at rest, six resources | {server_mib:.0f} MiB |
| `falaj serve` at rest, one model with ONNX Runtime | {serve_mib:.0f} MiB |

A plan without changes over the six resources of `tests/tests/platform.tf`, each of which
is read from the running cluster; beside it the same core with a configuration that has
no provider, which is the time that is not ours. Medians of {times}.

{plans}

Memory is resident, shared libraries included. Programs are as `make quickstart` builds
them: Cargo's `dev` profile with the optimisation that the workspace sets, not a release.
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def comparison(found: serving.Comparison) -> str:
    rows = []
    for connections in serving.CONNECTIONS:
        for server in found.servers:

            def figure(name: str, server=server) -> float:
                return server.figure(connections, name)

            times_less = found.peer.figure(connections, "cpu_us") / figure("cpu_us")
            times_more = figure("requests_per_second") / found.peer.figure(connections, "requests_per_second")
            rows.append(
                [
                    str(connections),
                    server.name,
                    f"{figure('cpu_us'):.0f}",
                    "1" if server is found.peer else f"{times_less:.1f} x",
                    f"{figure('requests_per_second'):,.0f}",
                    "1" if server is found.peer else f"{times_more:.1f} x",
                    f"{figure('p50_ms'):.3f}",
                    f"{figure('p99_ms'):.2f}",
                    f"{figure('resident_mib'):.0f}",
                ]
            )
    head = ["connections", "server", "CPU per request, us", "less CPU", "requests a second", "more requests"]
    return table([*head, "p50 ms", "p99 ms", "memory MiB"], rows)


def loads(before: float, after: float) -> str:
    busy = " Others used the machine meanwhile: take the figures as rough." if before > 1 else ""
    return f"Load average before the run {before:.1f}, after it {after:.1f}, itself included.{busy}"


def machine() -> str:
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rust = subprocess.check_output(["rustc", "--version"], text=True).split()[1]
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    kernel = platform.release().split("-")[0]
    return f"{os.cpu_count()} processors ({model}), {memory:.0f} GiB, {system}, Linux {kernel}, Rust {rust}"


def installed(python: str, package: str) -> str:
    ask = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return subprocess.check_output([python, "-c", ask], text=True).strip()


def render(arguments, load: tuple[float, float], served, provided: provider.Found) -> str:
    off, on, captured, asked = served
    plans = [
        [core.name, f"{core.plan_seconds:.2f} s", f"{core.bare_seconds:.2f} s", f"{core.provider_peak_mib:.0f} MiB"]
        for core in provided.cores
    ]
    return "".join(
        [
            HEAD.format(
                date=datetime.date.today().isoformat(),
                machine=machine(),
                load=loads(*load),
            ),
            SERVING.format(
                onnxruntime=installed(arguments.fastapi, "onnxruntime"),
                fastapi=installed(arguments.fastapi, "fastapi"),
                uvicorn=installed(arguments.fastapi, "uvicorn"),
                rounds=arguments.rounds,
                seconds=arguments.seconds,
                off=comparison(off),
                on=comparison(on),
                captured=f"{captured:,} of {asked:,} in this run",
            ),
            PROVIDER.format(
                handshake_ms=provided.handshake_ms,
                schema_peak_mib=provided.schema_peak_mib,
                server_mib=provided.server_mib,
                serve_mib=provided.serve_mib,
                times=arguments.plans,
                plans=table(["core", "plan", "without a provider", "provider's peak memory"], plans),
            ),
        ]
    )
