"""A way to a server that can be cut as a network is, while the server lives on."""

import asyncio
import socket
import threading
from contextlib import suppress

import pytest

from tests.redis_servers import RedisServer

CUT_SECONDS = 30.0
FAULTS = pytest.mark.parametrize("fault", ["restart", "partition"])
# of the connection, with what is in it
BREAKS = pytest.mark.parametrize("fault", ["restart", "break"])


class Link:
    """Passes on what comes to `port`. While it is cut its connections stay open, and nothing gets through.

    A test cuts it at the very command that it is about; what was held back goes on when it is mended.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._open = True
        self._before, self._behind = b"", b""
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def cut(self, before: bytes = b"", behind: bytes = b"") -> None:
        """Now, or at the first request with these bytes: `before` it, or `behind`, so that only its answer is held."""
        with self._changed:
            self._open = bool(before or behind)
            self._before, self._behind = before, behind

    def wait_until_cut(self) -> None:
        """The request has come; it must within a while."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, CUT_SECONDS), "no such request came"

    def mend(self) -> None:
        """All passes again, what was held back first."""
        with self._changed:
            self._open, self._before, self._behind = True, b"", b""
            self._changed.notify_all()

    def drop(self) -> None:
        """Every connection breaks, what was held back is lost, and new ones pass."""
        with self._changed:
            for each in self._sockets:
                _shut(each)
        self.mend()

    def close(self) -> None:
        """Nobody listens any more."""
        _shut(self._listener)
        self._threads[0].join()
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except ConnectionError:
                return
            with server:
                with self._changed:
                    self._sockets |= {client, server}
                answers = threading.Thread(target=self._pass, args=(server, client, False))
                answers.start()
                self._pass(client, server, True)
                answers.join()
                with self._changed:
                    self._sockets -= {client, server}

    def _pass(self, source: socket.socket, sink: socket.socket, requests: bool) -> None:
        with suppress(OSError):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(1 << 16):
                self._hold(data if requests else b"")
                sink.sendall(data)
        # so that the other direction ends, too
        _shut(source)
        _shut(sink)

    def _hold(self, request: bytes) -> None:
        with self._changed:
            if self._before and self._before in request:
                self._close()
            self._changed.wait_for(lambda: self._open)
            if self._behind and self._behind in request:
                self._close()

    def _close(self) -> None:
        self._open, self._before, self._behind = False, b"", b""
        self._changed.notify_all()


async def end(fault: str, server: RedisServer, link: Link) -> None:
    """What the link holds back goes on, or is lost, with the server or without."""
    await asyncio.to_thread(link.wait_until_cut)
    if fault == "restart":
        server.kill()
    if fault in ("restart", "break"):
        link.drop()
    if fault == "restart":
        await asyncio.to_thread(server.start)
    link.mend()


def request(*words: str) -> bytes:
    """How the request of these words begins, behind the number of all its words."""
    return b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
