"""What is remembered of prompts that were sent."""

from hypothesis import given
from hypothesis import strategies as st

from router.replicas.prefixes import BLOCK_TOKENS, MOST_TOKENS, SentPrefixes, block_hashes

lengths = st.integers(0, 5 * BLOCK_TOKENS)


def prompt(tokens: int, first: int = 0) -> list[int]:
    return [first + index for index in range(tokens)]


@given(common=lengths, own=lengths, other=lengths)
def test_only_whole_blocks_that_two_prompts_begin_with_match(common, own, other):
    sent = SentPrefixes()
    sent.remember(block_hashes(prompt(common) + prompt(own, 10_000)), 1_000_000)
    matched = sent.matched_tokens(block_hashes(prompt(common) + prompt(other, 20_000)))
    assert matched == common // BLOCK_TOKENS * BLOCK_TOKENS


def test_a_block_alone_is_nothing_without_what_stands_before_it():
    sent = SentPrefixes()
    sent.remember(block_hashes(prompt(2 * BLOCK_TOKENS)), 1_000_000)
    assert sent.matched_tokens(block_hashes(prompt(BLOCK_TOKENS, first=BLOCK_TOKENS))) == 0


def test_no_more_is_remembered_than_the_pool_holds_and_the_beginning_goes_last():
    sent = SentPrefixes()
    old, new = prompt(4 * BLOCK_TOKENS), prompt(3 * BLOCK_TOKENS, first=50_000)
    sent.remember(block_hashes(old), 5 * BLOCK_TOKENS)
    sent.remember(block_hashes(new), 5 * BLOCK_TOKENS)
    assert sent.matched_tokens(block_hashes(old)) == 2 * BLOCK_TOKENS
    assert sent.matched_tokens(block_hashes(new)) == 3 * BLOCK_TOKENS
    sent.forget()
    assert sent.matched_tokens(block_hashes(new)) == 0


def test_of_a_very_long_prompt_the_beginning_counts():
    assert len(block_hashes(prompt(10 * MOST_TOKENS))) == MOST_TOKENS // BLOCK_TOKENS
