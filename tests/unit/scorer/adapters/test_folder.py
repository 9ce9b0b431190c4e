"""Adapter folders: written whole, and refused for everything that can be wrong with one."""

import pickle
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from scorer.adapters.bundle import verify_bundle
from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.errors import AdapterDamaged, AdapterInvalid, AdapterMismatch
from scorer.adapters.folder import read_folder, save_folder
from scorer.adapters.header import MAX_HEADER_BYTES
from scorer.adapters.manifest import MANIFEST_FILE, WEIGHTS_FILE
from scorer.adapters.weights import load_weights
from tests.processes import ROOT
from tests.unit.scorer.adapters.conftest import MODEL_CONFIG, describe

A_TENSOR = "layers.0.mlp.up_proj.lora_B.weight"


def refill(folder, published, weights: bytes, **manifest):
    """Replace the weights and describe them truly, as a careless publisher would."""
    contents = published.contents | {WEIGHTS_FILE: weights}
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / MANIFEST_FILE).write_bytes(describe(contents, **manifest).to_json())


def with_tensors(published, **changes):
    """The file with tensors replaced, added, or, for None, left out."""
    tensors = published.weights.tensors() | changes
    return safetensors.torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None})


def test_round_trip_gives_the_same_bits(folder, published):
    bundle = read_folder(folder, MODEL_CONFIG)
    assert (bundle.manifest, bundle.config) == (published.manifest, published.weights.config)
    loaded, saved = load_weights(bundle).tensors(), published.weights.tensors()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_each_dtype_comes_back_as_it_was(tmp_path, published, dtype):
    contents = published.weights.to(dtype=dtype).to_files()
    save_folder(tmp_path / "1", describe(contents, dtype=str(dtype).removeprefix("torch.")), contents)
    assert {it.dtype for it in load_weights(read_folder(tmp_path / "1", MODEL_CONFIG)).tensors().values()} == {dtype}


def test_folder_holds_the_three_files_and_nothing_lies_beside_it(folder):
    assert {file.name for file in folder.iterdir()} == {CONFIG_FILE, WEIGHTS_FILE, MANIFEST_FILE}
    assert [entry.name for entry in folder.parent.iterdir()] == ["1"]


def test_version_that_is_there_is_never_replaced(folder, published):
    with pytest.raises(FileExistsError, match="a version never changes"):
        save_folder(folder, published.manifest, published.contents)
    read_folder(folder, MODEL_CONFIG)


def test_failed_write_leaves_nothing(tmp_path, published, monkeypatch):
    def full(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        save_folder(tmp_path / "1", published.manifest, published.contents)
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_read_is_not_saved(tmp_path, published):
    contents = published.contents | {WEIGHTS_FILE: with_tensors(published, **{A_TENSOR: None})}
    with pytest.raises(AdapterInvalid, match=A_TENSOR):
        save_folder(tmp_path / "1", describe(contents), contents)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE, MANIFEST_FILE])
def test_missing_file_is_damage(folder, name):
    (folder / name).unlink()
    with pytest.raises(AdapterDamaged, match=f"^{name}: cannot be read"):
        read_folder(folder, MODEL_CONFIG)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_truncated_or_longer_file_is_damage(folder, published, name):
    (folder / name).write_bytes(published.contents[name][:-1])
    with pytest.raises(AdapterDamaged, match=f"^{name}: has .* bytes, the manifest says"):
        read_folder(folder, MODEL_CONFIG)
    (folder / name).write_bytes(published.contents[name] + b" ")
    with pytest.raises(AdapterDamaged, match=f"^{name}: has more than the"):
        read_folder(folder, MODEL_CONFIG)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_flipped_bit_is_damage(folder, published, name):
    content = bytearray(published.contents[name])
    content[-9] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(AdapterDamaged, match=f"^{name}: its sha256"):
        read_folder(folder, MODEL_CONFIG)


def test_other_model_is_refused_before_its_weights_are_read(folder):
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(AdapterMismatch, match="num_key_value_heads: 4, the adapter needs 2"):
        read_folder(folder, MODEL_CONFIG | {"num_key_value_heads": 4})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(folder, published, value):
    tensor = published.weights.tensors()[A_TENSOR].clone()
    tensor[0, 0] = value
    refill(folder, published, with_tensors(published, **{A_TENSOR: tensor}))
    with pytest.raises(AdapterInvalid, match=f"^{A_TENSOR}: holds values that are not finite"):
        load_weights(read_folder(folder, MODEL_CONFIG))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (None, f"1 tensors are missing, the first is {A_TENSOR}"),
        (torch.zeros(24, 3), rf"^{A_TENSOR}: has shape \[24, 3\], the model needs \[24, 2\]"),
        (torch.zeros(24, 2, dtype=torch.float16), f"^{A_TENSOR}: is float16, the manifest says float32"),
        (torch.zeros(24, 2, dtype=torch.float64), f"^{A_TENSOR}: dtype 'F64' is not one of"),
    ],
    ids=["missing", "shape", "mixed dtype", "unknown dtype"],
)
def test_wrong_tensor_is_refused_by_name(folder, published, tensor, message):
    refill(folder, published, with_tensors(published, **{A_TENSOR: tensor}))
    with pytest.raises(AdapterInvalid, match=message):
        read_folder(folder, MODEL_CONFIG)


def test_extra_tensor_is_refused_by_name(folder, published):
    refill(folder, published, with_tensors(published, lm_head=torch.zeros(1)))
    with pytest.raises(AdapterInvalid, match="1 tensors too many, the first is 'lm_head'"):
        read_folder(folder, MODEL_CONFIG)


def _header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x02",
        (10 << 30).to_bytes(8, "little") + b"{}",
        (3).to_bytes(8, "little") + b"{}",
        pickle.dumps({"lookahead_embeddings": [0.0] * 64}),
        _header(b"{]"),
        _header(b"[]"),
        _header(b"[" * 10**5),
        _header(b'{"a": 1}'),
        _header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}') + bytes(4),
        _header(b'{"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}') + bytes(4),
        _header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}') + bytes(8),
        _header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}') + bytes(8),
        _header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'),
    ],
    ids=(
        "empty,one byte,10 GiB header,header behind the end,pickle,not JSON,not an object,deep,no entry,wrong size,"
        "negative size,gap,rest,no data"
    ).split(","),
)
def test_what_is_not_safetensors_is_refused(folder, published, content):
    refill(folder, published, content)
    with pytest.raises(AdapterInvalid, match=f"^{WEIGHTS_FILE}: is not a safetensors file: "):
        read_folder(folder, MODEL_CONFIG)


def test_header_that_is_too_large_is_not_parsed(folder, published):
    refill(folder, published, _header(b" " * (MAX_HEADER_BYTES + 1)))
    with pytest.raises(AdapterInvalid, match=f"its header would have {MAX_HEADER_BYTES + 1} bytes"):
        read_folder(folder, MODEL_CONFIG)


def test_bytes_from_elsewhere_are_checked_as_a_folder_is(published):
    assert verify_bundle(published.manifest, published.contents, MODEL_CONFIG).manifest == published.manifest
    with pytest.raises(AdapterMismatch, match="rope_theta"):
        verify_bundle(published.manifest, published.contents, MODEL_CONFIG | {"rope_theta": 1.0})
    with pytest.raises(AdapterDamaged, match=f"^{WEIGHTS_FILE}: is missing"):
        verify_bundle(published.manifest, {CONFIG_FILE: published.contents[CONFIG_FILE]}, MODEL_CONFIG)


def test_torch_archive_is_refused(folder, published, tmp_path):
    torch.save(published.weights.tensors(), tmp_path / "weights.pt")
    refill(folder, published, (tmp_path / "weights.pt").read_bytes())
    with pytest.raises(AdapterInvalid, match="is not a safetensors file"):
        read_folder(folder, MODEL_CONFIG)


def test_checking_a_folder_loads_no_torch():
    code = "import sys, scorer.adapters.folder; print({'torch', 'safetensors', 'numpy'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert output.strip() == "set()"
