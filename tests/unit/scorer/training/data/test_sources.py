import gzip
import re
from itertools import islice
from random import Random

import pytest

from scorer.training.data import sources, texts
from scorer.training.data.clean import blocks, prose
from scorer.training.data.families.base import Passage
from scorer.training.data.sample import Split
from scorer.training.data.sources import OPTIONAL, SOURCES, NoText, TextSource, load_source, source_names
from tests.processes import ROOT

SPLITS: tuple[Split, ...] = ("train", "held_out")
DEFAULT = [name for name in SOURCES if name not in OPTIONAL]
DOCUMENTS = (Passage("a", ("a1", "a2")), Passage("b", ("b1",)))


def test_the_splits_share_no_source_package_or_module():
    assert not set(source_names("train", optional=True)) & set(source_names("held_out", optional=True))
    assert not set(texts.TRAIN_PACKAGES) & set(texts.HELD_OUT_PACKAGES)
    assert not set(texts.TRAIN_MODULES) & set(texts.HELD_OUT_MODULES)


def test_the_splits_share_no_paragraph():
    train, held_out = (
        {text for name in source_names(split) for doc in load_source(name).documents for text in doc.paragraphs}
        for split in SPLITS
    )
    assert not train & held_out


def test_every_package_is_pinned():
    lock = (ROOT / "requirements" / "cpu.txt").read_text()
    pinned = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    named = {name.lower().replace("_", "-") for name in texts.TRAIN_PACKAGES + texts.HELD_OUT_PACKAGES}
    assert named <= pinned


@pytest.mark.parametrize("name", DEFAULT)
def test_a_default_source_is_whole_here_and_large(name):
    source = load_source(name)
    assert source.missing == ()
    assert sum(len(text) for doc in source.documents for text in doc.paragraphs) > 50_000


def test_paragraphs_go_on_through_the_documents_and_begin_anew():
    source = TextSource("s", DOCUMENTS)
    read = {tuple(islice(source.paragraphs(Random(seed)), 4)) for seed in range(20)}
    assert read == {("a1", "a2", "b1", "a1"), ("a2", "b1", "a1", "a2"), ("b1", "a1", "a2", "b1")}


def test_every_document_comes_once_in_a_round():
    titles = [passage.title for passage in islice(TextSource("s", DOCUMENTS).passages(Random(1)), 4)]
    assert sorted(titles[:2]) == sorted(titles[2:]) == ["a", "b"]


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(SOURCES, "some", ("train", lambda: sources.descriptions(["no-such-package", "pydantic"])))
    assert load_source.__wrapped__("some").missing == ("no-such-package",)


def test_a_source_without_any_text_is_an_error_that_says_of_what(monkeypatch):
    monkeypatch.setitem(SOURCES, "none", ("train", lambda: sources.descriptions(["no-such-package"])))
    with pytest.raises(NoText, match="none is empty here; it is made of no-such-package"):
        load_source.__wrapped__("none")


def test_debian_texts_are_read_once_and_only_where_there_are_any(tmp_path):
    (tmp_path / "tool").mkdir()
    sentence = b"This release repairs the way in which the tool reads its files."
    (tmp_path / "tool" / "NEWS.gz").write_bytes(gzip.compress(sentence))
    (tmp_path / "link").symlink_to(tmp_path / "tool")
    assert list(sources.debian_news(tmp_path)) == [("tool NEWS", (sentence.decode(),))]
    assert list(sources.debian_news(tmp_path / "nothing")) == []


def test_prose_is_what_remains_of_markup():
    text = """# Title
[![badge](a.svg)](b)

<p align="center">This *is* the [only](https://x.org) sentence with <b>enough</b> words
in two lines.</p>

```python
code that is long enough to be taken for a sentence of its own
```

.. image:: a picture that has many words in its line for a test
    :alt: and in the next one

>>> this is an example with many words in one line of code

Short one.
"""
    assert prose(text) == ("This *is* the only sentence with enough words in two lines.",)


def test_blocks_of_code_keep_their_indentation():
    assert blocks("a\n\ndef f():\n\tx = 1\n\treturn x\n\n\nb\n") == ("def f():\n    x = 1\n    return x",)
