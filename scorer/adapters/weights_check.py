"""The weights of an adapter, checked chunk by chunk while they pass: the header, the shapes, and each number."""

from collections.abc import Mapping

from scorer.adapters.errors import AdapterInvalid
from scorer.adapters.finite import FiniteCheck
from scorer.adapters.header import LENGTH_BYTES, TensorEntry, check_tensors, header_bytes, read_header
from scorer.adapters.manifest import WEIGHTS_FILE
from scorer.adapters.shapes import Shape


class WeightsCheck:
    """Feed it the whole file in order; it holds the header, and of the rest one piece at a time."""

    def __init__(self, size_bytes: int, expected: Mapping[str, Shape], dtype: str) -> None:
        self._size_bytes = size_bytes
        self._expected = expected
        self._dtype = dtype
        self._head = b""
        self._entries: dict[str, TensorEntry] | None = None
        self._finite = FiniteCheck(dtype)

    def feed(self, content: bytes) -> None:
        """Raises AdapterInvalid naming the tensor, or what of the header is wrong."""
        if self._entries is not None:
            self._check_numbers(content)
            return
        self._head += content
        if len(self._head) < LENGTH_BYTES and len(self._head) < self._size_bytes:
            return
        end = header_bytes(self._head, self._size_bytes)
        if len(self._head) >= end:
            self._entries = read_header(self._head, self._size_bytes)
            check_tensors(self._entries, self._expected, self._dtype)
            rest, self._head = self._head[end:], b""
            self._check_numbers(rest)

    def end(self) -> None:
        """Raises AdapterInvalid when the file ended before its tensors began."""
        if self._entries is None:
            read_header(self._head, self._size_bytes)

    def _check_numbers(self, content: bytes) -> None:
        at = self._finite.feed(content)
        if at is None or self._entries is None:
            return
        name = next(name for name, entry in self._entries.items() if entry.start <= at < entry.end)
        raise AdapterInvalid(
            f"{WEIGHTS_FILE}: {name}: has a number that is not finite, at byte {at} of the data; train it anew"
        )
