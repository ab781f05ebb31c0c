"""The journal of a run gives back the batches that were written whole, and no others."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_parts import KEYS, refused

from bayeslaw.errors import InputError
from inference.runs.batch_journal import Journal, check_keys, remove_journal


def test_the_journal_gives_back_what_was_written(tmp_path):
    journal = Journal(tmp_path / "j", "m", KEYS)
    assert journal.read(3, 2) is None
    assert not (tmp_path / "j").exists()
    journal.write(3, np.array([-1.5, -0.25]), 2.0)
    again = Journal(tmp_path / "j", "m", dict(KEYS))
    values, seconds = again.read(3, 2) or (None, None)
    assert values.dtype == np.float32
    assert (values.tolist(), seconds) == ([-1.5, -0.25], 2.0)
    assert again.read(3, 3) is None
    assert again.read(2, 2) is None


@pytest.mark.parametrize(
    ("name", "value"), [("revision", "sha256:2"), ("window", 64), ("prefix", 0), ("dtype", None), ("more", 1)]
)
def test_a_changed_key_is_named(tmp_path, name, value):
    Journal(tmp_path / "j", "m", KEYS).write(0, np.zeros(1), 1.0)
    with pytest.raises(InputError) as error:
        Journal(tmp_path / "j", "m", KEYS | {name: value})
    refused(error, f"{name} was {KEYS.get(name)!r} and is {value!r}", str(tmp_path / "j"))
    assert str(error.value).count(" was ") == 1
    with pytest.raises(InputError, match=name):
        check_keys("m", KEYS, KEYS | {name: value}, "there")


def test_keys_that_cannot_be_read(tmp_path):
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "keys.json").write_text("{")
    with pytest.raises(InputError) as error:
        Journal(tmp_path / "j", "m", KEYS)
    refused(error, "keys.json", "remove the folder")


def test_batches_without_keys_are_not_trusted(tmp_path):
    Journal(tmp_path / "j", "m", KEYS).write(0, np.zeros(2), 1.0)
    (tmp_path / "j" / "keys.json").unlink()
    other = Journal(tmp_path / "j", "m", KEYS | {"window": 64})
    assert other.read(0, 2) is None
    other.write(1, np.zeros(2), 1.0)
    assert other.read(0, 2) is None
    assert other.read(1, 2) is not None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_batch_is_not_there(tmp_path, data):
    journal = Journal(tmp_path / "j", "m", KEYS)
    values = np.linspace(-3, -1, 7, dtype=np.float32)
    journal.write(0, values, 0.5)
    path = next((tmp_path / "j").glob("batch-*"))
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :])
    found = journal.read(0, 7)
    assert found is None or found[0].tobytes() == values.tobytes()


def test_a_journal_is_removed_with_its_keys_last(tmp_path, monkeypatch):
    folder = tmp_path / "journal" / "m-0000"
    Journal(folder, "m", KEYS).write(0, np.zeros(2), 1.0)
    monkeypatch.setattr(shutil, "rmtree", lambda path: None)
    remove_journal(folder)
    assert [path.name for path in folder.iterdir()] == ["keys.json"]
    monkeypatch.undo()
    remove_journal(folder)
    remove_journal(folder)
    assert not (tmp_path / "journal").exists()
