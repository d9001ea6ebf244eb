"""The page that `make bench` writes."""

import datetime
import os
import pathlib
import platform
import subprocess

import framework
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

FRAMEWORK = """
## The framework beside HashiCorp's

One provider written twice: on `tfplugin` (`provider/framework/examples/terraform-provider-items.rs`)
and on HashiCorp's terraform-plugin-framework {framework} for Go (`tests/peers/framework-go`).
A resource of twelve attributes with a nested object, defaults and validators, each
in a JSON file of its own; one configuration for both, and the files are compared after
every step. The Go libraries write trace logs even when nobody asked for logs;
`TF_LOG_SDK=OFF` stops them and is the peer at its best, to which the ratios are.

Go is built as releases are (`-trimpath -ldflags "-s -w"`). Ours is Cargo's `dev` profile
with the optimisation that the workspace sets, which also checks every plan and state
against the protocol's contract; its debug information is stripped.

| what | `tfplugin` | Go | ratio |
| --- | --- | --- | --- |
{starts}

CPU is that of all provider processes of the step, user and system, as the kernel accounts it to
the core that waited for them; memory is the most that one of them had resident. The cores run with
their own defaults. `apply` follows a saved plan; `update` changes every item and, like `destroy`,
plans and applies in one command. The items are in memory (`/dev/shm`), so that no disk is
measured; the contestants take turns step by step.

{steps}
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


def framework_section(found: framework.Found, peer: pathlib.Path) -> str:
    own, best = found.contestants[:2]

    def start(what: str, name: str, digits: int) -> str:
        ours, theirs = getattr(own, name), getattr(best, name)
        return f"| {what} | {ours:.{digits}f} | {theirs:.{digits}f} | {theirs / ours:.1f} x less |"

    starts = [
        start("start to handshake line, ms (median of 30)", "handshake_ms", 1),
        start("peak memory while the schema is read, MiB", "schema_mib", 1),
        start("of that, without the mapped program and libraries, MiB", "schema_own_mib", 1),
        start("program, MiB", "size_mib", 1),
    ]
    return FRAMEWORK.format(
        framework=required(peer / "go.mod", "github.com/hashicorp/terraform-plugin-framework"),
        starts="\n".join(starts),
        steps="\n\n".join(step_table(series) for series in found.series),
    )


def step_table(series: framework.Series) -> str:
    rows = []
    for name, steps in series.steps.items():
        own, best, *logging = steps
        each = [f"{step.provider_cpu * 1e3 / series.items:.2f}" for step in steps]
        walls = f"{own.seconds:.1f} / {best.seconds:.1f} s"
        memory = f"{own.provider_mib:.0f} / {best.provider_mib:.0f}"
        ratio = f"{best.provider_cpu / own.provider_cpu:.1f} x" if own.provider_cpu else "-"
        rows.append([name, each[0], each[1], *([each[2]] if logging else []), ratio, memory, walls])
    logs = ["Go, logs as they are"] if rows and len(rows[0]) == 7 else []
    head = ["step", "`tfplugin`, ms of CPU", "Go", *logs, "less CPU", "memory, MiB", "the whole command"]
    title = f"{series.items:,} resources under {series.core}; CPU per resource:"
    ended = f"\n\n`{series.given_up}` took over {framework.PATIENCE:.0f} s; what follows it was left."
    return f"{title}\n\n{table(head, rows)}{ended if series.given_up else ''}"


def required(module: pathlib.Path, path: str) -> str:
    """The version at which a Go module requires another."""
    for line in module.read_text().splitlines():
        if line.split()[:1] == [path]:
            return line.split()[1].removeprefix("v")
    raise SystemExit(f"{module} does not require {path}")


def head(load: tuple[float, float]) -> str:
    return HEAD.format(date=datetime.date.today().isoformat(), machine=machine(), load=loads(*load))


def serving_section(arguments, served) -> str:
    off, on, captured, asked = served
    return SERVING.format(
        onnxruntime=installed(arguments.fastapi, "onnxruntime"),
        fastapi=installed(arguments.fastapi, "fastapi"),
        uvicorn=installed(arguments.fastapi, "uvicorn"),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        off=comparison(off),
        on=comparison(on),
        captured=f"{captured:,} of {asked:,} in this run",
    )


def provider_section(arguments, provided: provider.Found) -> str:
    plans = [
        [core.name, f"{core.plan_seconds:.2f} s", f"{core.bare_seconds:.2f} s", f"{core.provider_peak_mib:.0f} MiB"]
        for core in provided.cores
    ]
    return PROVIDER.format(
        handshake_ms=provided.handshake_ms,
        schema_peak_mib=provided.schema_peak_mib,
        server_mib=provided.server_mib,
        serve_mib=provided.serve_mib,
        times=arguments.plans,
        plans=table(["core", "plan", "without a provider", "provider's peak memory"], plans),
    )
