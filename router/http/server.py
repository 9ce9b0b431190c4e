"""The HTTP server: in the router's own loop, and stopped by it."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.shared.lifecycle import CUT_SECONDS, background, to_address

logger = structlog.get_logger()

BACKLOG = 2048
# longer than what load balancers keep a silent connection for, so that they never use one that is closed here
IDLE_SECONDS = 75
# a client that is gone without a word is noticed after twice as long
KEEPALIVE_SECONDS = 10
KEEPALIVE_PROBES = 2


@asynccontextmanager
async def http_served(app: ASGIApp, host: str, port: int | None, write_seconds: float) -> AsyncIterator[None]:
    """`app` for as long as this block lasts: on a free port for 0, nowhere for None.

    At the end streams that still run are told so and cut. Exits with a sentence when the port is taken.
    """
    if port is None:
        yield
        return
    listener = _listener(host, port, write_seconds)
    server = _Server(_config(app))
    with _logged():
        async with background(server.serve(sockets=[listener])) as serving:
            # nobody waits longer than for a connection that is refused: the socket listens already
            logger.info("http", host=host, port=listener.getsockname()[1])
            try:
                yield
            finally:
                server.should_exit = True
                await asyncio.wait((serving,))
                if server.server_state.tasks:
                    await asyncio.wait(server.server_state.tasks, timeout=CUT_SECONDS)


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # who calls is told from the other end of the connection, and by headers only behind a trusted hop
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        # what is in flight had its grace period before
        timeout_graceful_shutdown=1,
    )


def _listener(host: str, port: int, write_seconds: float) -> socket.socket:
    try:
        listener = _bound(host, port)
    except OSError as error:
        raise SystemExit(f"cannot serve HTTP on {to_address(host, port)}; choose another host or port") from error
    # each connection inherits these
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    # what was sent and is not taken for so long ends the connection, in the kernel, whose buffers nobody else sees
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * write_seconds))
    return listener


def _bound(host: str, port: int) -> socket.socket:
    if ":" not in host:
        return socket.create_server((host, port), backlog=BACKLOG)
    dual = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=dual)


class _ToStructlog(logging.Handler):
    """The server's own words as lines of JSON, as all others are."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            logger.error("http server", detail=record.getMessage(), exc_info=record.exc_info[1])
        else:
            # a client or the end of the process cut something short
            logger.warning("http server", detail=record.getMessage())


@contextmanager
def _logged() -> Iterator[None]:
    handler, ours = _ToStructlog(logging.ERROR), logging.getLogger("uvicorn.error")
    ours.addHandler(handler)
    ours.propagate = False
    ours.setLevel(logging.ERROR)
    try:
        yield
    finally:
        ours.removeHandler(handler)
