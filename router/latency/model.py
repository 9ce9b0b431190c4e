"""How long a replica takes, learned from what it reports: to the first token, and for each one behind it."""

import math
from dataclasses import dataclass

from router.latency.fit import Fit

# a report of more is a mistake, and no prediction is larger
MOST_SECONDS = 3600.0
MOST_TOKENS = 1e8
UNIT_TOKENS = 1000.0


@dataclass(frozen=True)
class Prior:
    """What is believed before any report: a fast replica, so that nobody is refused or cut short without data.

    About an 8B model on a GPU of a data centre: 20,000 tokens of prefill a second, and steps of 10 ms that read 128 KiB
    for each resident token at 3 TB/s.
    """

    ttft_base_seconds: float = 0.02
    ttft_prompt_token_seconds: float = 5e-5
    ttft_queued_token_seconds: float = 5e-5
    tpot_base_seconds: float = 0.01
    tpot_token_seconds: float = 4e-8


@dataclass(frozen=True)
class Observation:
    """One answer. What is missing is None; a time of zero or less, infinite or not a number is as good as missing.

    `prompt_tokens` are those that were not in the prefix cache, `queued_prompt_tokens` those of the requests ahead when
    it was sent, `resident_tokens` the mean of the batch's KV tokens while it was decoded.
    """

    prompt_tokens: int
    queued_prompt_tokens: int
    ttft_seconds: float | None = None
    resident_tokens: float = 0.0
    tpot_seconds: float | None = None


class LatencyModel:
    """Of one replica. TTFT grows with the prompt and with the prompts ahead, TPOT with the KV of the batch."""

    def __init__(self, prior: Prior | None = None) -> None:
        prior = prior or Prior()
        ttft = (prior.ttft_base_seconds, prior.ttft_prompt_token_seconds, prior.ttft_queued_token_seconds)
        self._ttft = Fit(ttft, (1.0, UNIT_TOKENS, UNIT_TOKENS))
        self._tpot = Fit((prior.tpot_base_seconds, prior.tpot_token_seconds), (1.0, UNIT_TOKENS))

    @property
    def samples(self) -> int:
        """Answers that it has learned TTFT from."""
        return self._ttft.samples

    @property
    def tpot_base_seconds(self) -> float:
        """A step of decoding that reads no KV."""
        return self._tpot.coefficients[0]

    @property
    def tpot_token_seconds(self) -> float:
        """What a step takes longer for each resident token."""
        return self._tpot.coefficients[1]

    @property
    def ttft_coefficients(self) -> tuple[float, float, float]:
        """Seconds of an empty prompt, of each prompt token, and of each token of the prompts ahead."""
        base, prompt, queued = self._ttft.coefficients
        return base, prompt, queued

    def observe(self, observation: Observation) -> None:
        """Learn from an answer; what makes no sense in it is ignored."""
        if _sensible(observation.ttft_seconds):
            prompt, queued = _tokens(observation.prompt_tokens), _tokens(observation.queued_prompt_tokens)
            self._ttft.observe((1.0, prompt, queued), observation.ttft_seconds or 0.0)
        if _sensible(observation.tpot_seconds):
            self._tpot.observe((1.0, _tokens(observation.resident_tokens)), observation.tpot_seconds or 0.0)

    def predict_ttft(self, prompt_tokens: int, queued_prompt_tokens: int) -> float:
        """Seconds to the first token of a prompt of which `prompt_tokens` are not in the prefix cache."""
        return min(self._ttft.predict((1.0, _tokens(prompt_tokens), _tokens(queued_prompt_tokens))), MOST_SECONDS)

    def predict_tpot(self, resident_tokens: float) -> float:
        """Seconds for each token behind the first, in a batch that holds so many KV tokens."""
        return min(self._tpot.predict((1.0, _tokens(resident_tokens))), MOST_SECONDS)


def _sensible(seconds: float | None) -> bool:
    return seconds is not None and math.isfinite(seconds) and 0 < seconds <= MOST_SECONDS


def _tokens(tokens: float) -> float:
    return min(max(float(tokens), 0.0), MOST_TOKENS) if math.isfinite(tokens) else 0.0
