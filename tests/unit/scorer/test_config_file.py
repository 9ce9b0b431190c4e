"""The scoring configuration file: what it accepts, what it names when it does not, and what is in force."""

import pytest

from scorer.config_file import ConfigError, ConfigFile, ModelConfig, read_config_file

FINGERPRINT = "0123456789abcdef" * 2
OTHER = FINGERPRINT[::-1]


def read(tmp_path, text: str) -> ConfigFile:
    path = tmp_path / "scoring.yaml"
    path.write_text(text)
    return read_config_file(path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "default: {}\nmodels: {}\n"])
def test_empty_file_means_the_built_in_values(tmp_path, text):
    assert read(tmp_path, text).for_model(FINGERPRINT) == ModelConfig()


def test_section_of_a_model_overrides_what_it_names_and_inherits_the_rest(tmp_path):
    content = read(
        tmp_path,
        f"""
        default: {{policy: window, sink_tokens: 8, policy_params: {{window: {{pool_width: 7}}, streaming: {{}}}}}}
        models:
          {FINGERPRINT}: {{policy: streaming, policy_params: {{window: {{window_tokens: 16}}}}}}
        """,
    )
    special, plain = content.for_model(FINGERPRINT), content.for_model(OTHER)
    assert (special.policy, special.sink_tokens, special.recent_tokens) == ("streaming", 8, 32)
    assert special.policy_params == {"window": {"window_tokens": 16}, "streaming": {}}
    assert (plain.policy, plain.policy_params["window"]) == ("window", {"pool_width": 7})


def test_section_may_set_a_field_back_to_its_built_in_value(tmp_path):
    content = read(tmp_path, f"default: {{sink_tokens: 8}}\nmodels: {{{FINGERPRINT}: {{sink_tokens: 4}}}}")
    assert content.for_model(FINGERPRINT).sink_tokens == 4


def test_version_is_that_of_the_effective_content(tmp_path):
    first = read(tmp_path, "default: {policy: window}")
    same = read(tmp_path, f"models: {{{OTHER}: {{policy: streaming}}}}")
    changed = read(tmp_path, "default: {policy_params: {window: {pool_width: 7}}}")
    versions = [content.for_model(FINGERPRINT).version for content in (first, same, changed)]
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("defaults: {}", "defaults: "),
        ("default: {sink_tokns: 4}", "default.sink_tokns: "),
        ("default: {sink_tokens: -1}", "default.sink_tokens: "),
        ("default: {sink_tokens: 4.5}", "default.sink_tokens: "),
        ("default: {sink_tokens: true}", "default.sink_tokens: "),
        ("default: {sink_tokens: 3000000000}", "default.sink_tokens: "),
        ("default: {min_budget_tokens: 0}", "default.min_budget_tokens: "),
        ("default: {policy: best}", r"default.policy: .*known: full, "),
        ("default: {policy_params: {full: {}}}", "default.policy_params.full"),
        ("default: {policy_params: {window: {x: .nan}}}", "default.policy_params.window.x"),
        (f"models: {{{FINGERPRINT}: {{policy: best}}}}", f"models.{FINGERPRINT}.policy: "),
        ("models: {smollm: {}}", "models.smollm"),
        ("- a list", "file: "),
        ("default: {", "is not YAML"),
    ],
)
def test_wrong_content_is_refused_by_field(tmp_path, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read(tmp_path, text)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml: No such file"):
        read_config_file(tmp_path / "nowhere.yaml")
