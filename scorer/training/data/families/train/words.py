"""Words of the training families; the held-out ones have others."""

from collections.abc import Callable, Iterator
from random import Random

FIRST_NAMES = (
    "Alice Bruno Clara David Elena Frank Greta Henry Irene James Karen Louis Maria Nathan Olga Peter Rosa Simon "
    "Teresa Victor Wendy Xavier Yvonne Adam Bella Carl Diana Edgar Fiona George Hannah Ivan Julia Kevin Laura "
    "Martin Nina Oscar"
).split()
LAST_NAMES = (
    "Abbott Barker Carver Dalton Ellis Foster Garner Harper Ingram Jarvis Keller Lambert Mercer Norris Osborne "
    "Palmer Quinn Ramsey Sawyer Tanner Underwood Vaughn Walker Yates Archer Bishop Chandler Draper Fletcher Gardner "
    "Hooper"
).split()
CITIES = (
    "Lisbon Dublin Prague Vienna Athens Warsaw Geneva Milan Hamburg Seville Krakow Porto Ghent Malmo Turin Basel"
).split()
ADJECTIVES = (
    "red blue green yellow purple orange silver golden wooden broken heavy light quiet loud early late warm cold "
    "round square narrow wide bitter sweet rough smooth bright dark young old clever lazy"
).split()
NOUNS = (
    "apple ladder window basket candle hammer pencil bottle mirror pillow carpet button blanket kettle lantern "
    "needle bucket curtain drawer engine feather garden helmet island jacket kitchen lemon magnet napkin oven "
    "parcel quilt ribbon saddle teapot umbrella violin wallet zipper anchor bridge camera desk elbow flute glove "
    "harbor"
).split()
UNITS = "boxes crates bags rolls pairs sheets".split()
SYLLABLES = "ba ce di fo gu ha ki lo mu na pe ri so tu va we xi yo za bre cla dro fli gra ste tri plo sna".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

MOST_MISSES = 50


def number(rng: Random, digits: int = 4) -> str:
    """A number of so many digits."""
    return str(rng.randint(10 ** (digits - 1), 10**digits - 1))


def code(rng: Random) -> str:
    """Two letters and four digits, such as `QK-4821`."""
    return f"{rng.choice('BCDFGHJKLMNPQRSTVWXZ')}{rng.choice('AEIOUY')}-{number(rng)}"


def coined(rng: Random) -> str:
    """A word that no language has."""
    return "".join(rng.choice(SYLLABLES) for _ in range(3))


def thing(rng: Random) -> str:
    """Such as `wooden ladder`."""
    return f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"


def person(rng: Random) -> str:
    """First and last name."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def value(rng: Random) -> str:
    """A value of one of the kinds that files hold."""
    return rng.choice((number(rng, rng.randint(2, 6)), code(rng), coined(rng), thing(rng), rng.choice(CITIES)))


def unique(rng: Random, draw: Callable[[Random], str]) -> Iterator[str]:
    """What `draw` gives, each only once; when it has run out of words, numbers are added."""
    seen: set[str] = set()
    misses = 0
    while True:
        word = draw(rng) if misses < MOST_MISSES else f"{draw(rng)} {number(rng)}"
        misses = misses + 1 if word in seen else 0
        if word not in seen:
            seen.add(word)
            yield word
