"""Words of the held-out families, none of them in the training families."""

from collections.abc import Callable
from random import Random

FIRST_NAMES = (
    "Amina Bjorn Chiara Dmitri Esther Farid Gudrun Hiroshi Ingrid Jamal Keiko Lorenzo Maeve Nikhil Oriana Pavel "
    "Qasim Rania Sven Tomoko Ursula Vikram Wilma Ximena Yusuf Zora Anselm Brigid Cosimo Delphine"
).split()
COUNTRIES = (
    "Norway Brazil Japan Kenya Canada Egypt Chile India Peru Ghana Nepal Cuba Laos Iceland Jordan Bolivia Morocco "
    "Vietnam"
).split()
CARGOES = "tin wool salt copper grain timber cotton amber cement rice sugar marble cocoa rubber".split()
ADJECTIVES = (
    "ancient brave curious distant eager fragile gentle hollow icy jolly keen lonely mellow noble proud".split()
)
NOUNS = (
    "badger comet dolphin eagle falcon glacier hornet iris jaguar kestrel lagoon meadow nebula otter panther quartz "
    "raven salmon tundra urchin volcano walrus zebra acorn beetle canyon dune ember fjord geyser"
).split()
SYLLABLES = "ar bel cor dun el far gor hal ist jor kel lor mar nor or pel quin ros sel tor ul vor wen yar zel".split()


def number(rng: Random, digits: int = 5) -> str:
    """A number of so many digits."""
    return str(rng.randint(10 ** (digits - 1), 10**digits - 1))


def town(rng: Random) -> str:
    """The name of a place that does not exist."""
    return (rng.choice(SYLLABLES) + rng.choice(SYLLABLES) + rng.choice(("ford", "stad", "mere", "burg"))).title()


def animal(rng: Random) -> str:
    """Such as `ancient otter`."""
    return f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"


def several(rng: Random, draw: Callable[[Random], str], count: int) -> list[str]:
    """So many different ones of what `draw` gives."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw(rng)] = None
    return list(found)
