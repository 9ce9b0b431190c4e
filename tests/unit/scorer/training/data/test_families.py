"""Every family of the registry, found without naming it."""

import dataclasses
import re
from random import Random
from typing import Any

import pytest

from scorer.training.data.build import BuildPlan, CannotBuild, build_one
from scorer.training.data.families import FAMILIES, HELD_OUT, TRAIN, load_family
from scorer.training.data.families.base import Passage, Task, take_text, take_tokens
from scorer.training.data.families.held_out import words as held_out_words
from scorer.training.data.families.train import words as train_words
from scorer.training.data.grade import contains, grade
from scorer.training.data.sample import Split
from scorer.training.data.sources import TextSource, load_source, source_names

SPLIT_OF: dict[str, Split] = {**dict.fromkeys(TRAIN, "train"), **dict.fromkeys(HELD_OUT, "held_out")}
TARGET_TOKENS = 600
# what a family may add to the length it was asked for: the question, and one more line
SLACK_TOKENS = 120
SEEDS = range(4)


def count_tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def make(name: str, seed: int, target_tokens: int = TARGET_TOKENS) -> Task:
    sources = source_names(SPLIT_OF[name])
    filler = load_source(sources[seed % len(sources)])
    return load_family(name)().make(Random(seed), filler, target_tokens, count_tokens)


def pool(module) -> set[str]:
    """All words of the tuples and lists in a module of words, in lower case."""
    listed = (value for value in vars(module).values() if isinstance(value, list | tuple))
    return {word.lower() for value in listed for word in value}


def test_there_are_enough_families_of_either_split_and_none_is_in_both():
    assert len(TRAIN) >= 10
    assert len(HELD_OUT) >= 6
    assert not TRAIN.keys() & HELD_OUT.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_lies_in_the_folder_of_its_split_and_its_parameters_are_fields(name):
    family = load_family(name)
    assert f".families.{SPLIT_OF[name]}." in family.__module__
    assert dataclasses.is_dataclass(family)
    assert family() == family()
    assert family.evidence in ("verbatim", "derived", "open")


def test_no_word_of_the_held_out_families_is_used_in_training():
    assert not (pool(held_out_words) - set(held_out_words.SYLLABLES)) & pool(train_words)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_makes_the_same_task_and_another_seed_another_one(name):
    assert make(name, 1) == make(name, 1)
    assert make(name, 1) != make(name, 2)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("target_tokens", [300, 3000])
def test_a_task_is_hardly_longer_than_asked_for(name, target_tokens):
    tokens = [count_tokens(make(name, seed, target_tokens).context) for seed in SEEDS]
    assert max(tokens) <= target_tokens + SLACK_TOKENS
    # the builder asks for more where texts are cut early
    assert max(tokens) >= target_tokens // 3


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_answer_follows_from_the_task(name, seed):
    family: Any = load_family(name)()
    task: Any = make(name, seed)
    assert bool(task.answer) == (family.evidence != "open")
    if family.evidence == "verbatim":
        assert all(contains(task.context, value) for value in task.answer.values)
        # the question must not give it away
        assert grade(task.answer, task.question) == 0
    if family.evidence == "derived":
        assert sorted(family.solve(task)) == sorted(task.answer.values)


@pytest.mark.parametrize("name", HELD_OUT)
def test_what_a_held_out_raw_prompt_ends_with_is_the_familys_own(name):
    assert make(name, 1).cue is not None


def test_a_length_that_no_context_can_have_is_refused_with_the_lengths_that_came_out(tokenizer):
    with pytest.raises(CannotBuild, match=r"multi_value, raw.*3 to 4 tokens; tries had \d+"):
        build_one(BuildPlan("held_out", 1, 3, 4), "multi_value", "raw", 0, tokenizer)


def test_texts_that_hold_no_task_of_a_family_are_an_error_that_says_so(tokenizer, monkeypatch):
    untitled = TextSource("untitled", (Passage("title", ("a text about something else",)),))
    monkeypatch.setattr("scorer.training.data.build.load_source", lambda _: untitled)
    with pytest.raises(CannotBuild, match="passage_retrieval, raw, .* untitled has too few passages"):
        build_one(BuildPlan("held_out", 1, 300, 700), "passage_retrieval", "raw", 0, tokenizer)


def test_lines_are_taken_whole_up_to_the_length_but_never_too_few():
    lines = ["one two three", "four five", "six"]
    assert take_tokens(lines, 5, count_tokens) == lines[:2]
    assert take_tokens(lines, 1, count_tokens) == lines[:2]
    assert take_tokens(lines, 0, count_tokens, least=0) == []


def test_text_is_cut_between_words_at_the_length():
    assert take_text(["one two", "three four five six"], 4, count_tokens) == ["one two", "three four"]
    assert take_text(["one two"], 0, count_tokens) == []
