"""The machine: Python, memory, disk, ports."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.local.memory import available_bytes, memory_problem
from services.local.model_folder import weights_bytes
from services.local.ports import port_problem

GIB = 1 << 30
LEAST_MEMORY, LEAST_DISK, LEAST_SHM = 4 * GIB, 2 * GIB, GIB
SHM = Path("/dev/shm")
OLDEST = (3, 11, 0)


def python(subject: Subject) -> Iterator[Finding]:
    """The interpreter."""
    found = sys.version_info[:3]
    text = ".".join(map(str, found))
    yield ok("python", text) if found >= OLDEST else wrong("python", text, "install Python 3.11 or newer")


def memory(subject: Subject) -> Iterator[Finding]:
    """What a model on a CPU needs, and a GPU's host."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = f"{available_bytes() / GIB:.1f} of {total / GIB:.1f} GiB free"
    if total < LEAST_MEMORY:
        yield wrong("memory", text, f"give this machine at least {LEAST_MEMORY // GIB} GiB")
    elif subject.model and (problem := memory_problem(weights_bytes(subject.model))):
        found, _, remedy = problem.partition("; ")
        yield wrong("memory", found, remedy)
    else:
        yield ok("memory", text)


def disk(subject: Subject) -> Iterator[Finding]:
    """Room for adapters, compiled kernels and shared memory."""
    for name, folder, least in (("disk", Path(tempfile.gettempdir()), LEAST_DISK), ("shared memory", SHM, LEAST_SHM)):
        if not folder.is_dir():
            yield wrong(name, f"there is no {folder}", f"mount a tmpfs at {folder}")
            continue
        free = shutil.disk_usage(folder).free
        text = f"{free / GIB:.1f} GiB free in {folder}"
        yield ok(name, text) if free >= least else wrong(name, text, f"free at least {least // GIB} GiB in {folder}")


def ports(subject: Subject) -> Iterator[Finding]:
    """Whether a server could listen there."""
    if not subject.ports:
        yield skipped("ports", "name some with --port")
    for port in subject.ports:
        if problem := port_problem(port):
            yield wrong(f"port {port}", problem, "stop what listens there, or set another port")
        else:
            yield ok(f"port {port}", "is free")
