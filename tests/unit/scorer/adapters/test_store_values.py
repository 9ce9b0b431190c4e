"""What a store of adapters is asked about, checked before any server sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.redis_keys import AdapterKeys
from scorer.adapters.store_values import CHUNK_BYTES, AdapterId, Upload, check_alias_name, chunk_count, split
from tests.adapter_uploads import make_upload, make_weights

models = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}(/[A-Za-z0-9][A-Za-z0-9._-]{0,20})?", fullmatch=True)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@given(models, names)
def test_an_adapter_is_what_its_text_says(model, name):
    assert AdapterId.parse(str(AdapterId(model, name))) == AdapterId(model, name)


@given(models, names)
def test_all_keys_of_an_adapter_are_in_one_slot(model, name):
    keys = AdapterKeys(AdapterId(model, name))
    found = [*keys.shared, keys.used, keys.manifest(1), keys.manifest(12)]
    found += [keys.chunk(make_upload(b"1", number, keys.adapter), 0) for number in (1, 2)]
    assert len(set(found)) == 9
    assert len({key_slot(key.encode()) for key in found}) == 1


@pytest.mark.parametrize(
    "model, name", [("us/{x}", "a"), ("us", "{a}"), ("us", ""), ("", "a"), ("a/b/c", "a"), ("..", "a")]
)
def test_a_name_that_would_leave_its_slot_or_folder_is_refused(model, name):
    with pytest.raises(ValueError, match="is not a name"):
        AdapterId(model, name)


@pytest.mark.parametrize("name", ["", ":revision", "A", "a b", "a\n", "x" * 65])
def test_an_alias_has_a_plain_name(name):
    with pytest.raises(ValueError, match="alias: .* is not a name"):
        check_alias_name(name)


@pytest.mark.parametrize(
    "size_bytes, count", [(0, 0), (1, 1), (CHUNK_BYTES, 1), (CHUNK_BYTES + 1, 2), (3 * CHUNK_BYTES, 3)]
)
def test_a_file_is_its_chunks(size_bytes, count):
    weights = bytes(size_bytes)
    upload = make_upload(weights)
    assert chunk_count(size_bytes) == len(split(weights)) == len(upload.chunk_sums) == count
    assert b"".join(split(weights)) == weights
    assert [upload.chunk_bytes(index) for index in range(count)] == [len(chunk) for chunk in split(weights)]


def test_other_bytes_have_other_tags():
    uploads = [make_upload(make_weights(100, seed=seed)) for seed in (0, 1)]
    assert len({upload.tag for upload in uploads}) == 2
    # the same file under other declared sums must not share its keys either
    lying = Upload(uploads[0].manifest, uploads[0].config, uploads[1].chunk_sums)
    assert lying.tag not in {upload.tag for upload in uploads}


@pytest.mark.parametrize("index", [-1, 1])
def test_a_chunk_that_the_file_has_not_is_refused(index):
    with pytest.raises(AdapterDamaged, match=f"chunk {index}: .* has 1 chunks"):
        make_upload(b"abc").check_chunk(index, b"abc")


def test_an_upload_has_a_sum_for_each_chunk_and_the_config_of_its_manifest():
    upload = make_upload(b"abc")
    with pytest.raises(AdapterDamaged, match="has 0 sums, the weights have 1 chunks"):
        Upload(upload.manifest, upload.config, ())
    with pytest.raises(AdapterDamaged, match=r"adapter_config.json: is not the file"):
        Upload(upload.manifest, upload.config[:-1] + b" ", upload.chunk_sums)
