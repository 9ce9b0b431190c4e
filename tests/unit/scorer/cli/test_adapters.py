"""The command line: what it takes, prints and refuses, on a store in memory."""

import json
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.folder import read_files, save_folder
from scorer.adapters.manifest import MANIFEST_FILE, WEIGHTS_FILE
from scorer.adapters.shipped import FOLDER
from scorer.adapters.store_errors import StoreUnavailable
from scorer.cli.group import COMMANDS
from services.cli.main import build_app
from tests.fakes import MemoryAdapterStore

SHIPPED = FOLDER / "SmolLM2-135M-Instruct"
NAME = "SmolLM2-135M-Instruct/smollm2-135m-instruct"
URL = "redis://fake"


class SlowFingers(MemoryAdapterStore):
    """Ctrl-C is pressed once, when the second chunk is sent."""

    def __init__(self):
        super().__init__()
        self.sent = []

    async def put_chunk(self, upload, index, content):
        self.sent.append(index)
        if self.sent == [0, 1]:
            raise KeyboardInterrupt
        await super().put_chunk(upload, index, content)


class Commands:
    """Runs `lookaheadkv adapters ...`."""

    def __init__(self, store):
        self.store = store
        self.options = None

    @asynccontextmanager
    async def open(self, options):
        self.options = options
        if isinstance(self.store, Exception):
            raise self.store
        yield self.store

    def __call__(self, *args, url=URL):
        return CliRunner().invoke(
            build_app(), ["adapters", *map(str, args)], obj=self.open, env={"LOOKAHEADKV_REDIS_URL": url}
        )

    def answer(self, *args):
        result = self(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def commands():
    return Commands(MemoryAdapterStore())


def test_publish_promote_rollback_and_delete(commands):
    first = commands.answer("publish", SHIPPED)
    second = commands.answer("publish", SHIPPED, "--next", "--alias", "canary")
    assert (first["adapter"], first["version"]["number"], first["alias"]) == (NAME, 1, None)
    assert (second["version"]["number"], second["alias"]["name"]) == (2, "canary")
    assert commands.answer("promote", NAME, 2)["version"] == 2
    assert commands.answer("rollback", NAME)["version"] == 1
    refused = commands("delete", NAME, 2)
    assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    commands.answer("rollback", NAME)
    shown = commands.answer("show", NAME)
    assert [info["number"] for info in shown["versions"]] == [1, 2]
    assert [item["adapter"] for item in commands.answer("list")] == [NAME]
    assert commands.answer("list", "--model-fingerprint", "0" * 32) == []


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.25", 0.25), ("0", 0), ("100%", 1)])
def test_split_gives_an_alias_a_share_and_leaves_it_where_it_is(commands, text, share):
    commands("publish", SHIPPED)
    commands("publish", SHIPPED, "--next", "--alias", "canary")
    given = commands.answer("split", NAME, text)
    assert (given["name"], given["version"], given["share"]) == ("canary", 2, share)
    assert commands.answer("promote", NAME, 1, "--alias", "canary")["share"] == share
    assert ("of default" in commands("show", NAME).stdout) == (share > 0)


@pytest.mark.parametrize("text", ["101%", "5 %%", "half", "nan", "-0.1", "1.5", ""])
def test_what_is_no_share_is_wrong_usage(commands, text):
    refused = commands("split", NAME, "--", text)
    assert refused.exit_code == 2 and "is not a share; write 5% or 0.05" in " ".join(refused.output.split())


def test_people_read_tables(commands):
    commands("publish", SHIPPED)
    listed, shown = commands("list"), commands("show", NAME)
    assert (listed.exit_code, shown.exit_code) == (0, 0)
    assert NAME in listed.stdout and "default -> 1" in listed.stdout
    assert "4.6 MiB" in shown.stdout


def test_alias_that_is_no_name_is_refused_before_anything_is_published(commands):
    assert commands("publish", SHIPPED, "--alias", "No Name").exit_code == 1
    assert commands.answer("list") == []


def test_ctrl_c_leaves_an_upload_that_the_same_command_resumes():
    store = SlowFingers()
    commands = Commands(store)
    stopped = commands("publish", SHIPPED)
    invisible = commands.answer("list")
    again = commands("publish", SHIPPED)
    assert stopped.exit_code == 130 and "goes on" in stopped.output
    assert invisible == []
    assert (again.exit_code, store.sent) == (0, [0, 1, 1, 2, 3, 4])


def test_pull_makes_the_same_folder_once(commands, tmp_path):
    commands("publish", SHIPPED)
    pulled = commands.answer("pull", NAME, tmp_path / "1")
    again = commands("pull", NAME, tmp_path / "1")
    assert read_files(tmp_path / "1") == read_files(SHIPPED)
    assert pulled["version"] == 1
    assert again.exit_code == 1 and "a version never changes" in again.output


def test_pull_to_where_no_folder_can_be_is_one_sentence(commands, tmp_path):
    commands("publish", SHIPPED)
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "1", tmp_path / "file" / "2" / "3"):
        refused = commands("pull", NAME, folder)
        assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
        assert refused.output.startswith(f"{folder}: cannot be made: ")


def test_verify_checks_a_folder_without_a_store_and_one_in_the_store(commands, tmp_path):
    manifest, contents = read_files(SHIPPED)
    save_folder(tmp_path / "1", manifest, contents)
    good = commands("verify", tmp_path / "1", url="")
    (tmp_path / "1" / WEIGHTS_FILE).write_bytes(contents[WEIGHTS_FILE][:-1] + b"?")
    bad = commands("verify", tmp_path / "1", url="")
    commands("publish", SHIPPED)
    assert (good.exit_code, commands.answer("verify", NAME)["version"]) == (0, 1)
    assert bad.exit_code == 1 and f"{WEIGHTS_FILE}: its sha256" in bad.output


@pytest.mark.parametrize("missing", [MANIFEST_FILE, CONFIG_FILE, WEIGHTS_FILE])
def test_folder_without_a_file_is_refused_by_name(commands, tmp_path, missing):
    manifest, contents = read_files(SHIPPED)
    save_folder(tmp_path / "1", manifest, contents)
    (tmp_path / "1" / missing).unlink()
    refused = commands("publish", tmp_path / "1")
    assert refused.exit_code == 1 and refused.output.startswith(f"{missing}: ")


@pytest.mark.parametrize(
    "args",
    [
        ("rollback", NAME),
        ("rollback", NAME, "--alias", "canary"),
        ("split", NAME, "5%"),
        ("split", NAME, "5%", "--alias", "default"),
        ("promote", NAME, 9),
        ("show", "us/other"),
        ("pull", NAME, "nowhere", "--alias", "canary"),
        ("promote", NAME, 1, "--alias", "No Name"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_code_1(commands, args):
    commands("publish", SHIPPED)
    refused = commands(*args)
    assert refused.exit_code == 1
    assert len(refused.output.strip().splitlines()) == 1


@pytest.mark.parametrize("args", [("show", "news"), ("show", "{}/news"), ("promote", NAME, 0), ("promote", NAME), ()])
def test_wrong_usage_is_code_2(commands, args):
    assert commands(*args).exit_code == 2


def test_what_is_neither_a_folder_nor_an_adapter_is_told_so(commands):
    refused = commands("verify", "nowhere")
    assert refused.exit_code == 2 and "'nowhere' is neither a folder here" in refused.output


def test_certificate_authority_that_is_no_file_is_named(commands, tmp_path):
    refused = commands("list", "--redis-ca-file", tmp_path / "none.pem", url="rediss://host")
    assert refused.exit_code == 2 and "--redis-ca-file" in refused.output


@pytest.mark.parametrize("url", ["", "http://host", "redis://host:port", "redis://host/x", "redis://host?option=1"])
def test_store_must_be_named(commands, url):
    refused = commands("list", url=url)
    assert refused.exit_code == 2 and "--redis-url" in refused.output


def test_store_that_is_away_is_one_sentence():
    refused = Commands(StoreUnavailable("Redis at fake does not answer"))("list")
    assert (refused.exit_code, refused.output) == (1, "Redis at fake does not answer\n")


def test_every_command_has_help(commands):
    assert set(COMMANDS) == {"publish", "list", "show", "promote", "split", "rollback", "delete", "pull", "verify"}
    assert all(commands(name, "--help").exit_code == 0 for name in COMMANDS)
