"""Which alias scores a request for `default`, where others have a share of those requests."""

import hashlib
import math
from collections.abc import Collection, Mapping

DEFAULT_ALIAS = "default"
# between the name of an adapter and that of its alias
SEPARATOR = "/"


def shares_of(name: str, shares: Mapping[str, float], allowed: Collection[str] = ()) -> dict[str, float]:
    """Of the requests for the alias `name`, which share each alias gets, itself included. Only `default` is shared.

    An alias that is not `allowed` gets none; an empty `allowed` allows all.
    """
    adapter, _, alias = name.rpartition(SEPARATOR)
    if alias != DEFAULT_ALIAS:
        return {name: 1.0}
    others = {
        other: share
        for other, share in shares.items()
        if share > 0
        and other != name
        and other.rpartition(SEPARATOR)[0] == adapter
        and (not allowed or other in allowed)
    }
    return others | {name: max(0.0, 1 - sum(others.values()))}


def pick(shares: Mapping[str, float], key: str) -> str:
    """The alias for this key: the same one as long as the shares are, in any process.

    Weighted rendezvous hashing: a share that grows takes keys from others and gives none away, and the reverse.
    """
    return min((alias for alias in shares if shares[alias] > 0), key=lambda alias: _draw(alias, key) / shares[alias])


def _draw(alias: str, key: str) -> float:
    """Exponentially distributed, so that divided by shares the smallest is each alias's as often as its share says."""
    digest = hashlib.blake2b(f"{alias}\n{key}".encode(), digest_size=8).digest()
    # above 0 and below 1
    return -math.log((int.from_bytes(digest) + 0.5) / 2**64)
