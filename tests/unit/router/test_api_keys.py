"""Callers are told by the hash of their key, and nothing of a key is ever shown."""

import hashlib

import pytest

from router.api_keys import ApiKeys
from services.shared.errors import Unauthenticated


def sum_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text(
        f"keys:\n- {{sha256: {sum_of('one')}, tenant: acme, name: acme-ci}}\n"
        f"- {{sha256: {sum_of('root')}, tenant: ops, admin: true}}\n"
    )
    return ApiKeys.read(file)


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer one"}, {"authorization": "bearer one"}, {"x-api-key": "one"}]
)
def test_key_tells_tenant_and_name(keys, headers):
    caller = keys.resolve(headers, "ipv4:127.0.0.1:1")
    assert (caller.tenant, caller.name, caller.admin) == ("acme", "acme-ci", False)


def test_admin_is_a_role_of_the_key(keys):
    caller = keys.resolve({"x-api-key": "root"}, "")
    assert (caller.tenant, caller.name, caller.admin) == ("ops", "ops", True)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "has no API key"),
        ({"authorization": "Basic one"}, "has no API key"),
        ({"authorization": "Bearer wrong-key"}, "is not known here"),
        ({"x-api-key": sum_of("one")}, "is not known here"),
    ],
)
def test_without_a_known_key_there_is_no_caller(keys, headers, sentence):
    with pytest.raises(Unauthenticated, match=sentence) as raised:
        keys.resolve(headers, "")
    assert "wrong-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("keys: []", "keys: "),
        ("keys: [{sha256: secret-in-plain-text, tenant: acme}]", "keys.0.sha256"),
        (f"keys: [{{sha256: {'a' * 64}, tenant: 'a b'}}]", "keys.0.tenant"),
        (f"keys: [{{sha256: {'a' * 64}, tenant: a, role: admin}}]", "keys.0.role"),
        (f"keys: [{{sha256: {'a' * 64}, tenant: a}}, {{sha256: {'a' * 64}, tenant: b}}]", "is there twice"),
        ("keys: [", "is not YAML"),
        ("", "the file"),
    ],
)
def test_wrong_file_is_refused_with_the_field_and_without_its_value(tmp_path, text, sentence):
    (tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(ValueError) as raised:
        ApiKeys.read(tmp_path / "keys.yaml")
    assert sentence in str(raised.value)
    assert "secret-in-plain-text" not in str(raised.value)
