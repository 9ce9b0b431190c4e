"""adapter_config.json: PEFT's words, and nothing that we would ignore."""

import json

import pytest

from scorer.adapters.config import MODULES, AdapterConfig
from scorer.adapters.errors import AdapterInvalid


def test_defaults_are_those_of_the_paper():
    config = AdapterConfig()
    assert (config.lookahead_tokens, config.rank, config.alpha, config.target_modules) == (32, 8, 32.0, MODULES)
    assert config.scale == 4.0


def test_file_uses_the_words_of_peft():
    assert json.loads(AdapterConfig().to_json()) == {
        "peft_type": "LOOKAHEADKV",
        "lookahead_tokens": 32,
        "r": 8,
        "lora_alpha": 32.0,
        "target_modules": list(MODULES),
        "fusion": {"window_tokens": 32, "pool_width": 5, "sink_tokens": 4, "recent_tokens": 32},
    }


def test_file_is_read_back():
    config = AdapterConfig(lookahead_tokens=3, rank=2, alpha=5.5, target_modules=("q_proj", "down_proj"))
    assert AdapterConfig.from_json(config.to_json()) == config


def test_order_of_modules_makes_no_difference():
    assert AdapterConfig(target_modules=("k_proj", "q_proj")) == AdapterConfig(target_modules=("q_proj", "k_proj"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"use_dora": True}, "use_dora: Extra inputs are not permitted"),
        ({"peft_type": "LORA"}, "peft_type: "),
        ({"r": 0}, "r: "),
        ({"r": "8"}, "r: "),
        ({"r": True}, "r: "),
        ({"lora_alpha": -1}, "lora_alpha: "),
        ({"lora_alpha": float("nan")}, "lora_alpha: "),
        ({"lookahead_tokens": 10**6}, "lookahead_tokens: "),
        ({"target_modules": ["q_proj", "lm_head"]}, "target_modules: .*lm_head"),
        ({"target_modules": ["q_proj", "q_proj"]}, "target_modules: .*twice"),
    ],
    ids=str,
)
def test_wrong_field_is_refused_by_name(change, named):
    content = json.dumps(json.loads(AdapterConfig().to_json()) | change).encode()
    with pytest.raises(AdapterInvalid, match=f"^adapter_config.json: {named}"):
        AdapterConfig.from_json(content)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_what_is_not_an_object_is_refused(content):
    with pytest.raises(AdapterInvalid, match="^adapter_config.json: "):
        AdapterConfig.from_json(content)
