"""What the kernel says of a process."""

import os
import pathlib

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Time on a processor so far: user and system, of all its threads, those that ended too."""
    # The name may hold spaces and parentheses; the fields after it do not.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _status(pid: int, field: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    return 0


def resident_mib(pid: int) -> float:
    return _status(pid, "VmRSS") / 1024


def peak_resident_mib(pid: int) -> float:
    return _status(pid, "VmHWM") / 1024


def anonymous_mib(pid: int) -> float:
    """Resident memory of its own, without what it maps of its program and libraries."""
    return _status(pid, "RssAnon") / 1024


def children(pid: int) -> list[int]:
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _status(int(entry.name), "PPid") == pid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def role(pid: int) -> str:
    """The second word of its command line: what `falaj` was started as."""
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[1].decode() if len(words) > 1 else ""


def split_cpu_seconds(pid: int) -> tuple[float, float]:
    """Time on a processor of a process that ended and was not waited for yet, and of the
    children that it waited for itself, however these ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / TICK, reaped / TICK
