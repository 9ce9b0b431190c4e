"""`python -m services.soak.prober URL HASH`: how long small commands take, as an application beside us sees it.

Each is sent when it is due, whether or not those before it were answered, so a stall counts for all that come in it.
Goes on until its input ends, then prints its samples as JSON: when each command was sent, by time.monotonic, and how
many ms after that its answer was there.
"""

import json
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

from redis import ConnectionPool
from redis.connection import AbstractConnection

EVERY_SECONDS = 0.005
OWN_KEY = "soak:prober"
# of the key, so that it is no leak
OWN_KEY_SECONDS = 60

Command = tuple[str | bytes | int, ...]
Sample = tuple[float, float]


def probe(connection: AbstractConnection, commands: Sequence[Command], ended: Callable[[], bool]) -> list[Sample]:
    """The samples, until it has `ended`."""
    samples: list[Sample] = []
    waiting: deque[float] = deque()
    due, sent = time.monotonic(), 0
    while True:
        if connection.can_read(max(0.0, due - time.monotonic())):
            connection.read_response()
            at = waiting.popleft()
            samples.append((at, 1000 * (time.monotonic() - at)))
        elif ended():
            return samples
        if time.monotonic() >= due:
            waiting.append(time.monotonic())
            connection.send_command(*commands[sent % len(commands)])
            sent += 1
            due += EVERY_SECONDS


def _input_ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    url, aliases = sys.argv[1:]
    commands: Sequence[Command] = (
        ("PING",),
        ("HGETALL", aliases),
        ("SET", OWN_KEY, b"x" * 100, "EX", OWN_KEY_SECONDS),
        ("GET", OWN_KEY),
    )
    connection = ConnectionPool.from_url(url).get_connection()
    try:
        json.dump(probe(connection, commands, _input_ended), sys.stdout)
    finally:
        connection.disconnect()


if __name__ == "__main__":
    main()
