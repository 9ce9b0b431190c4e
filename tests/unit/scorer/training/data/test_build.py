from collections import Counter

import pytest

from scorer.training.data.build import BuildPlan, CannotBuild, build, build_one
from scorer.training.data.families import HELD_OUT, TRAIN
from scorer.training.data.families.base import GENERATED
from scorer.training.data.sample import Split, to_line, write_samples
from scorer.training.data.sources import source_names

SPLITS = {"train": (TRAIN, ("templated", "raw", "cut")), "held_out": (HELD_OUT, ("templated", "raw"))}


def plan(split: Split, rounds: int = 1, seed: int = 5) -> BuildPlan:
    """A plan with so many samples in each cell."""
    families, forms = SPLITS[split]
    return BuildPlan(split, rounds * len(families) * len(forms), 300, 700, seed)


@pytest.fixture(scope="module", params=SPLITS)
def built(request, tokenizer):
    return request.param, list(build(plan(request.param, rounds=3), tokenizer))


def test_nothing_of_the_other_split_is_in_a_build(built):
    split, samples = built
    assert {one.sample.split for one in samples} == {split}
    assert {one.sample.family for one in samples} == set(SPLITS[split][0])
    assert {one.sample.source for one in samples} == {*source_names(split), GENERATED}


def test_every_family_comes_equally_often_in_every_form(built):
    split, samples = built
    families, forms = SPLITS[split]
    cells = Counter((one.sample.family, one.sample.form) for one in samples)
    assert cells == {(family, form): 3 for family in families for form in forms}


def test_every_prompt_has_a_length_in_the_range_and_a_seed_of_its_own(built, tokenizer):
    _, samples = built
    for one in samples:
        assert 300 <= one.tokens <= 700
        ids = tokenizer.encode(one.sample.prompt, add_special_tokens=one.sample.form == "raw")
        assert one.tokens == len(ids)
    assert len({one.sample.seed for one in samples}) == len(samples)
    assert len({one.sample.prompt for one in samples}) == len(samples)


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_seed_gives_the_same_bytes(split, tokenizer, tmp_path):
    for file in ("a", "b"):
        write_samples(tmp_path / file, (one.sample for one in build(plan(split), tokenizer)))
    write_samples(tmp_path / "c", (one.sample for one in build(plan(split, seed=6), tokenizer)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_sample_does_not_depend_on_what_else_is_built(tokenizer):
    all_of_them = [one.sample for one in build(plan("train"), tokenizer)]
    alone = build_one(BuildPlan("train", 1, 300, 700, 5, families=["glossary"]), "glossary", "raw", 0, tokenizer)
    assert to_line(alone.sample) in [to_line(sample) for sample in all_of_them]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"split": "test"}, "split: test is not known here; choose of train, held_out"),
        ({"families": ["needle"]}, "family: needle is not known here; choose of arithmetic, "),
        ({"forms": ["cooked"]}, "form: cooked is not known here; choose of templated, raw, cut"),
        ({"min_tokens": 900}, "tokens: 900 to 700 is no range"),
        ({"count": 0}, "count: must be at least 1, got 0"),
    ],
)
def test_a_plan_of_what_does_not_exist_is_refused_with_the_choices(wrong, words):
    right = {"split": "train", "count": 3, "min_tokens": 300, "max_tokens": 700}
    with pytest.raises(CannotBuild, match=words):
        BuildPlan(**right | wrong)
