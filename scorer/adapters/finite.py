"""Whether all numbers are finite, by their exponent bits: without numpy or torch, which the sidecar does not load."""

from dataclasses import dataclass

BLOCK_BYTES = 64 << 10


@dataclass(frozen=True)
class FloatFormat:
    """A number is infinite or NaN when all bits of `exponent` are set; `step` is the lowest of them."""

    size_bytes: int
    exponent: int

    @property
    def step(self) -> int:
        return self.exponent & -self.exponent

    @property
    def sign(self) -> int:
        return 1 << (8 * self.size_bytes - 1)

    def repeated(self, pattern: int) -> int:
        """`pattern` in each number of a block."""
        return int.from_bytes(pattern.to_bytes(self.size_bytes, "little") * (BLOCK_BYTES // self.size_bytes), "little")


FORMATS = {
    "bfloat16": FloatFormat(2, 0x7F80),
    "float16": FloatFormat(2, 0x7C00),
    "float32": FloatFormat(4, 0x7F800000),
}


class FiniteCheck:
    """Looks at a file of numbers piece by piece; pieces may end inside a number."""

    def __init__(self, dtype: str) -> None:
        self._format = FORMATS[dtype]
        self._exponents, self._steps, self._signs = (
            self._format.repeated(pattern) for pattern in (self._format.exponent, self._format.step, self._format.sign)
        )
        self._left = b""
        self._at = 0

    def feed(self, content: bytes) -> int | None:
        """Where the first number begins that is not finite, in bytes since the first piece; None when all are."""
        content = self._left + content
        whole = len(content) - len(content) % self._format.size_bytes
        for start in range(0, whole, BLOCK_BYTES):
            found = self._first(content[start : min(start + BLOCK_BYTES, whole)])
            if found is not None:
                return self._at + start + found
        self._left = content[whole:]
        self._at += whole
        return None

    def _first(self, block: bytes) -> int | None:
        # all numbers at once, as one long integer: the lowest exponent bit is added to the exponent, and only a full
        # one carries into the place of the sign, which was cleared; none reaches the next number
        carried = (int.from_bytes(block, "little") & self._exponents) + self._steps
        wrong = carried & self._signs
        if not wrong:
            return None
        bit = (wrong & -wrong).bit_length() - 1
        return bit // 8 // self._format.size_bytes * self._format.size_bytes
