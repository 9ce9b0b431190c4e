"""How fast the modelled replicas are: as measured, times a factor."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EngineProfile:
    """What a replica needs for each step; one device, where prefill goes before decoding.

    Measured: SmolLM2-135M in bfloat16 on a core of an AMD EPYC. Prefill is from `docs/benchmarks/cost.json`, steps are
    from `python -m services.bench.router.calibrate` before SGLang 0.5.23, which told from 0.12 s for one request with
    280 tokens to 0.48 s for eight with 8,384 in all. The line is within 0.06 s of all eight, on a machine that others
    used too.
    """

    # 0.61 s for 512 tokens, where 0.62 s was measured; 32.4 s for 8,192, where 32.5 s was
    prefill_token_seconds: float = 1.0e-3
    # attention of each prompt token to those before it
    prefill_pair_seconds: float = 3.6e-7
    step_seconds: float = 0.15
    step_token_seconds: float = 4.0e-5
    total_slots: int = 65_536
    max_running: int = 32

    def faster(self, factor: float) -> "EngineProfile":
        """The same replica, with each time divided by `factor`."""
        return EngineProfile(
            self.prefill_token_seconds / factor,
            self.prefill_pair_seconds / factor,
            self.step_seconds / factor,
            self.step_token_seconds / factor,
            self.total_slots,
            self.max_running,
        )

    def prefill_seconds(self, prompt_tokens: int) -> float:
        """Prefill of a prompt by itself."""
        return prompt_tokens * (self.prefill_token_seconds + prompt_tokens * self.prefill_pair_seconds)

    def decode_step_seconds(self, resident_tokens: float) -> float:
        """One step of a batch that holds so many KV tokens."""
        return self.step_seconds + self.step_token_seconds * resident_tokens

    def engine_args(self) -> dict[str, Any]:
        """The same for the fake engine."""
        return {
            "prefill_tokens_per_second": 1 / self.prefill_token_seconds,
            "prefill_pair_seconds": self.prefill_pair_seconds,
            "tokens_per_second": 1 / self.step_seconds,
            "decode_token_seconds": self.step_token_seconds,
            "one_device": True,
            "total_slots": self.total_slots,
            "max_running": self.max_running,
        }
