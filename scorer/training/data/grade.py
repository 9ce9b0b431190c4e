"""Whether a text answers: the one place that says so."""

import re

from scorer.training.data.sample import Answer


def grade(expected: Answer, text: str) -> float:
    """The share of `expected` that `text` contains, 0 to 1; one of several alternatives is all of it.

    A value counts as a whole word or number only: 12 is not in 120, 12.5, 1,200 or -12, and `sun` not in `sunny`.
    Upper and lower case are the same, and so are blanks and line breaks.
    """
    found = [contains(text, value) for value in expected.values]
    return float(any(found)) if expected.needs == "any" else sum(found) / len(found)


def contains(text: str, value: str) -> bool:
    """Whether `value` stands in `text` by itself. Case and the kind of white space do not matter."""
    words = value.split()
    if not words:
        return False
    pattern = r"\s+".join(map(re.escape, words))
    # edges matter only where the value itself ends in a letter or digit
    before = r"(?<![\w])" if re.match(r"\w", words[0]) else ""
    after = r"(?![\w])" if re.search(r"\w$", words[-1]) else ""
    if words[0][0].isdigit():
        before += r"(?<!\d[.,:])(?<![-+.])"
    if words[-1][-1].isdigit():
        after += r"(?![.,:]\d)"
    return re.search(before + pattern + after, text, re.IGNORECASE) is not None
