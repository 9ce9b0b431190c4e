import pytest

from scorer.training.data.grade import contains, grade
from scorer.training.data.sample import Answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is 12.", "12"),
        ("12", "12"),
        ("(12)", "12"),
        ("12, 13", "13"),
        ("It costs $12!", "12"),
        ("THE SUN", "sun"),
        ("a green\n door", "green door"),
        ("code QK-4821.", "qk-4821"),
        ("it ends with f(x)", "f(x)"),
        ('"sun"', "sun"),
        ("at 06:00:11:", "06:00:11"),
    ],
)
def test_a_value_by_itself_counts(text, value):
    assert contains(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("120", "12"),
        ("312", "12"),
        ("12.5", "12"),
        ("1,200", "200"),
        ("1,200", "1"),
        ("-12", "12"),
        ("3.12", "12"),
        ("sunny", "sun"),
        ("a_sun", "sun"),
        ("greendoor", "green door"),
        ("", "12"),
        ("anything", " "),
    ],
)
def test_a_part_of_a_word_or_number_does_not_count(text, value):
    assert not contains(text, value)


def test_the_grade_is_the_share_of_the_values_or_all_for_any():
    assert grade(Answer(("1", "2", "3", "4")), "3 and 1") == 0.5
    assert grade(Answer(("1", "2"), "any"), "2") == 1.0
    assert grade(Answer(("1", "2"), "any"), "3") == 0.0
