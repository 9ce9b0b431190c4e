"""Paragraphs of prose out of Markdown, reStructuredText and docstrings."""

import re

# what is neither read nor understood as text: comments, tags, pictures, code, directives, targets of links
NOISE = tuple(
    (re.compile(pattern, flags), new)
    for pattern, flags, new in (
        (r"<!--.*?-->", re.DOTALL, ""),
        (r"```.*?```", re.DOTALL, ""),
        (r"<(pre|code|table|svg|script)\b.*?</\1>", re.DOTALL, ""),
        (r"`([^`<]+?)\s*<[^>]*>`_+", 0, r"\1"),
        (r"<[/a-zA-Z][^>]*>", 0, ""),
        (r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])", 0, ""),
        (r"\[([^\[\]]*)\](\([^)]*\)|\[[^\]]*\])", 0, r"\1"),
        (r"^\s*\.\. .*(\n[ \t]+\S.*)*", re.MULTILINE, ""),
        (r"^\s*[-=~*#^+|_\"' ]{3,}\s*$", re.MULTILINE, ""),
        (r"^\s*\[[^\]]*\]:.*$", re.MULTILINE, ""),
        (r"^#+ ", re.MULTILINE, ""),
    )
)
LEAST_WORDS = 8
LEAST_LETTERS_RATIO = 0.75
MOST_CHARACTERS = 1200


def prose(text: str) -> tuple[str, ...]:
    """The paragraphs of `text` that are sentences, each on one line and none twice."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    for pattern, new in NOISE:
        text = pattern.sub(new, text)
    joined = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return tuple(dict.fromkeys(paragraph[:MOST_CHARACTERS] for paragraph in joined if is_prose(paragraph)))


def is_prose(paragraph: str) -> bool:
    """Whether it is long enough and has few characters that are no letters."""
    letters = sum(character.isalpha() or character == " " for character in paragraph)
    long_enough = len(paragraph.split()) >= LEAST_WORDS
    return long_enough and ">>>" not in paragraph and letters >= LEAST_LETTERS_RATIO * len(paragraph)


def blocks(code: str, least_lines: int = 3) -> tuple[str, ...]:
    """The parts of source code between empty lines that are long enough, as they are, none twice."""
    parts = (part.strip("\n").rstrip() for part in re.split(r"\n\s*\n", code.expandtabs(4)))
    return tuple(dict.fromkeys(part[:MOST_CHARACTERS] for part in parts if part.count("\n") + 1 >= least_lines))
