"""Checkpoints: what is written is read again, and anything else is refused in one sentence and left alone."""

from dataclasses import asdict

import numpy as np
import pytest

from tinymaml.experiment import checkpoint
from tinymaml.experiment.options import settings_for
from tinymaml.experiment.run import load_run, run

SMALL = settings_for("sinusoids", iterations=12, hidden=(6, 6), tasks=3, shots=2, queries=2)


def test_the_settings_come_back_with_their_options(tmp_path):
    options = {"ways": 3, "classes": 6, "fixed_labels": True, "steps": 2}
    settings = settings_for("planes", "first-order", iterations=1, hidden=(4,), tasks=2, **options)
    run(settings, tmp_path / "run.npz", progress=False)
    assert load_run(tmp_path / "run.npz")[1] == settings
    assert checkpoint.load(tmp_path / "run.npz")[1] == {**asdict(settings), "hidden": [4]}


def test_a_checkpoint_of_an_earlier_format_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", "tinymaml checkpoint 1")
    run(SMALL, tmp_path / "old.npz", progress=False)
    monkeypatch.undo()
    sentence = rf"\(it is a 'tinymaml checkpoint 1' and this version reads '{checkpoint.FORMAT}'\): train again"
    with pytest.raises(ValueError, match=sentence):
        load_run(tmp_path / "old.npz")


def damaged(tmp_path, kind):
    path = tmp_path / "maml.npz"
    run(SMALL, path, progress=False)
    whole = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[:len(whole) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "one byte":
        middle = whole.index(b"theta/W2") + 300
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1:])
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "array":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "foreign":
        np.savez(path, weights=np.zeros(3))
    elif kind == "pickle":
        np.savez(path, facts=np.array([{}], dtype=object))
    return path


@pytest.mark.parametrize("kind", ["truncated", "empty", "one byte", "text", "array", "foreign", "pickle"])
def test_what_is_not_a_whole_checkpoint_is_refused_and_left_alone(tmp_path, kind):
    path = damaged(tmp_path, kind)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is not a whole tinymaml checkpoint"):
        load_run(path)
    with pytest.raises(ValueError, match="is not a whole tinymaml checkpoint"):
        run(SMALL, path, resume=True, progress=False)
    assert path.read_bytes() == before


def test_a_large_file_of_another_kind_is_not_read(tmp_path):
    path = tmp_path / "large.npz"
    with open(path, "wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(ValueError, match="not a whole tinymaml checkpoint"):
        checkpoint.load(path)
