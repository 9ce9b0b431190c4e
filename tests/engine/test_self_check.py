"""The plugin notices an SGLang that it was not written for."""

import importlib.metadata
import warnings

import pytest

from services.runtime.backends.sglang.process import FAILURE_FILE_VARIABLE, record_failure


@pytest.fixture(scope="module")
def hooks():
    with warnings.catch_warnings():
        # SGLang warns about the GPUs it does not find
        warnings.simplefilter("ignore")
        from services.runtime.backends.sglang import hooks

        hooks.check_sglang()
    return hooks


def test_another_version_is_refused_by_both_numbers(hooks, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.5.24")
    with pytest.raises(hooks.HooksMissing, match=r"sglang 0\.5\.24 is installed, the plugin needs 0\.5\.23"):
        hooks.check_sglang()


def test_method_with_other_parameters_is_refused_by_name(hooks, monkeypatch):
    from sglang.srt.managers.schedule_batch import Req

    monkeypatch.setattr(Req, "reset_for_retract", lambda this: None)
    with pytest.raises(hooks.HooksMissing, match="reset_for_retract takes"):
        hooks.check_sglang()


def test_hook_that_was_not_applied_is_named(hooks):
    with pytest.raises(hooks.HooksMissing, match=r"hooks not applied: .*Scheduler\.run_batch"):
        hooks.check_applied()


def test_first_recorded_reason_stays(tmp_path, monkeypatch):
    file = tmp_path / "reason"
    monkeypatch.setenv(FAILURE_FILE_VARIABLE, str(file))
    record_failure("the cause")
    record_failure("what followed from it")
    assert file.read_text() == "the cause"
