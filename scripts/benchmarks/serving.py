"""Single-row predictions: `falaj serve` and its peers, the same model and the same load.

The servers are up at once and are loaded one after the other, in rounds, so that
what else the machine does meets all of them. The load comes from `falaj replay`.
"""

import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from statistics import median

import process

CONNECTIONS = (1, 16)


@dataclass
class Server:
    name: str
    url: str
    pid: int
    # By number of connections, one of each a round.
    slices: dict[int, list[dict]] = field(default_factory=lambda: {count: [] for count in CONNECTIONS})

    def figure(self, connections: int, name: str) -> float:
        return median(found[name] for found in self.slices[connections])


@dataclass
class Comparison:
    """Servers on equal terms."""

    servers: list[Server]
    # The one that the others are ratios of.
    peer: Server


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Serving:
    def __init__(self, root: pathlib.Path, scratch: pathlib.Path, onnxruntime: str, fastapi: str):
        self.root, self.scratch, self.onnxruntime, self.fastapi = root, scratch, onnxruntime, fastapi
        self.falaj = root / "target/debug/falaj"
        self.data = root / "examples/quickstart/data"
        self.certificate = {name: scratch / f"{name}.pem" for name in ("ca", "client", "server")}
        self.key = {name: scratch / f"{name}.key" for name in ("client", "server")}

    def measure(self, rounds: int, seconds: float) -> tuple[Comparison, Comparison, int, int]:
        """Everything off and everything on; then how many requests were captured of how many."""
        with contextlib.ExitStack() as started:
            off, on = self.start_ours(started)
            bare = self.start_bare(started)
            peer_off, peer_on = (self.start_peer(started, tls) for tls in (False, True))
            servers = [off, bare, peer_off, on, peer_on]
            asked = 0
            for server in servers:
                warm_up = self.load(server, CONNECTIONS[-1], 0)
                asked += warm_up["requests"] if server is on else 0
            for _ in range(rounds):
                for connections in CONNECTIONS:
                    for server in servers:
                        server.slices[connections].append(self.load(server, connections, seconds))
            asked += sum(found["requests"] for slices in on.slices.values() for found in slices)
            plain = Comparison([off, bare, peer_off], peer_off)
            return plain, Comparison([on, peer_on], peer_on), self.captured(on), asked

    def start_example(self, started: contextlib.ExitStack, name: str, *arguments) -> tuple[int, str]:
        """Starts an example of the runtime; its process, and the line that it says."""
        command = [self.root / "target/debug/examples" / name, *arguments]
        # It ends when its input does: leaving the context closes that and waits.
        example = started.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        return example.pid, example.stdout.readline()

    def start_ours(self, started: contextlib.ExitStack) -> list[Server]:
        """Everything off, everything on. Also makes the model and the certificates."""
        people = self.data / "people.parquet"
        _, line = self.start_example(started, "bench_serve", self.scratch, people, self.onnxruntime)
        said = json.loads(line)
        return [Server("`falaj serve`", said[how]["url"], said[how]["pid"]) for how in ("off", "on")]

    def start_bare(self, started: contextlib.ExitStack) -> Server:
        pid, line = self.start_example(started, "bench_bare", self.scratch / "model.onnx", self.onnxruntime)
        return Server("bare axum", line.strip(), pid)

    def start_peer(self, started: contextlib.ExitStack, tls: bool) -> Server:
        port = free_port()
        command = [self.fastapi, "-m", "uvicorn", "app:app", "--app-dir", self.root / "tests/peers/fastapi"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        if tls:
            command += ["--ssl-certfile", self.certificate["server"], "--ssl-keyfile", self.key["server"]]
            command += ["--ssl-ca-certs", self.certificate["ca"], "--ssl-cert-reqs", str(int(ssl.CERT_REQUIRED))]
        environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        environment["MODEL"] = str(self.scratch / "model.onnx")
        server = started.enter_context(subprocess.Popen(command, env=environment))
        started.callback(server.terminate)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return Server("FastAPI", f"{'https' if tls else 'http'}://127.0.0.1:{port}", server.pid)
            time.sleep(0.05)
        raise SystemExit("FastAPI does not answer")

    def load(self, server: Server, connections: int, seconds: float) -> dict:
        """Replays the file until so many seconds of load have passed, once at least."""
        command = [self.falaj, "replay", "--url", server.url, "--model", "employed", "--connections", str(connections)]
        command += ["--parquet", self.data / "traffic_2016_2018.parquet", "--ca", self.certificate["ca"]]
        command += ["--cert", self.certificate["client"], "--key", self.key["client"]]
        runs, spent = [], process.cpu_seconds(server.pid)
        while not runs or sum(run["seconds"] for run in runs) < seconds:
            runs.append(json.loads(subprocess.check_output(command)))
        spent = process.cpu_seconds(server.pid) - spent
        requests, took = (sum(run[name] for run in runs) for name in ("requests", "seconds"))
        if sum(run["errors"] for run in runs):
            raise SystemExit(f"{server.name} at {server.url} did not answer every request")
        return {
            "requests": requests,
            "requests_per_second": requests / took,
            "cpu_us": spent / requests * 1e6,
            "p50_ms": median(run["p50_ms"] for run in runs),
            "p99_ms": median(run["p99_ms"] for run in runs),
            "resident_mib": process.resident_mib(server.pid),
        }

    def captured(self, server: Server) -> int:
        """Requests that were captured since the server began."""
        context = ssl.create_default_context(cafile=self.certificate["ca"])
        context.load_cert_chain(self.certificate["client"], self.key["client"])
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        time.sleep(0.5)
        with opener.open(f"{server.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        (rows,) = [line.split()[1] for line in lines if line.startswith("falaj_capture_rows_total ")]
        return int(rows)
