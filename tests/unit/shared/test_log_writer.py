"""Whoever reads the log slowly, or not at all, holds up nobody."""

import io
import json
import os
import threading

from services.shared.log_writer import LineWriter


class Gate(io.StringIO):
    """Takes nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.opened = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.opened.wait()
        return super().write(text)


def test_lines_come_in_order_and_all_of_them_before_the_end():
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(1000):
        writer.info(f"line {number}")
    writer.close()
    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(1000)]


def test_lines_that_nobody_reads_are_dropped_and_their_number_is_told():
    stream = Gate()
    writer = LineWriter(stream, max_lines=3)
    writer.info("first")
    assert stream.reached.wait(10)
    for number in range(10):
        writer.info(f"line {number}")
    stream.opened.set()
    while writer._lines.qsize():
        stream.opened.wait(0.001)
    writer.info("last")
    writer.close()
    *lines, told, last = stream.getvalue().splitlines()
    assert (lines, last) == (["first", "line 0", "line 1", "line 2"], "last")
    assert json.loads(told)["count"] == 7


def test_a_reader_that_went_away_ends_nothing():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        writer = LineWriter(stream)
        for _ in range(3):
            writer.info("into the void")
        writer.close()
        assert not writer._thread.is_alive()
        # what the file itself still holds can go nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
