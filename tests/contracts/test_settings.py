"""What an operator can set is described, and no process shares a prefix with another."""

import importlib

import pytest
from pydantic_settings import BaseSettings

from tests.processes import ROOT

MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for folder in ("scorer", "router", "services")
    for file in (ROOT / folder).rglob("settings.py")
    # not the helper for all of them, nor training and evaluation, which their command lines set
    if file.parent.name not in ("shared", "training", "evaluation")
)


def settings_classes() -> list[type[BaseSettings]]:
    values = [value for name in MODULES for value in vars(importlib.import_module(name)).values()]
    return [v for v in values if isinstance(v, type) and issubclass(v, BaseSettings) and v is not BaseSettings]


def test_walk_finds_the_processes():
    assert {"scorer.settings", "router.settings", "services.runtime.settings"} <= set(MODULES)
    assert len(settings_classes()) >= len(MODULES)


@pytest.mark.parametrize("settings", settings_classes(), ids=lambda cls: cls.__name__)
def test_every_field_has_a_description(settings):
    assert settings.model_fields
    assert not [name for name, field in settings.model_fields.items() if not field.description]


@pytest.mark.parametrize("settings", settings_classes(), ids=lambda cls: cls.__name__)
def test_settings_are_frozen(settings):
    assert settings.model_config.get("frozen")


def test_every_process_has_a_prefix_of_its_own():
    prefixes = [settings.model_config.get("env_prefix") for settings in settings_classes()]
    assert all(prefixes)
    assert len(set(prefixes)) == len(prefixes)
