"""The outer loop and its checkpoints: resumed bit for bit, stopped at any moment, never trained on NaN."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinymaml import checkpoint
from tinymaml.evaluation import evaluate
from tinymaml.experiment import reopen, run
from tinymaml.problems import model, new_tasks
from tinymaml.settings import Settings
from tinymaml.training import Diverged

SMALL = Settings(iterations=12, hidden=(6, 6), tasks=3, shots=2, queries=2)


def same(one, other):
    """Bit for bit: parameters, optimiser, generator, history."""
    return (
        one.iteration == other.iteration
        and all(np.array_equal(one.theta[n], other.theta[n]) and one.theta[n].dtype == other.theta[n].dtype for n in one.theta)
        and all(np.array_equal(one.optimizer[n], other.optimizer[n]) for n in one.optimizer)
        and one.generator == other.generator
        and np.array_equal(one.losses, other.losses)
    )


@pytest.mark.parametrize("change", [
    {}, {"method": "first-order"}, {"method": "pretraining"}, {"method": "oracle"}, {"half_life": 4}, {"dtype": "float32"},
])
def test_a_run_resumed_with_more_iterations_equals_one_never_stopped(tmp_path, change):
    settings = replace(SMALL, **change)
    whole = run(settings, tmp_path / "whole.npz", progress=False)
    run(replace(settings, iterations=5), tmp_path / "parts.npz", progress=False)
    parts = run(settings, tmp_path / "parts.npz", resume=True, progress=False)
    assert same(whole, parts)
    assert whole.losses.shape == (12,) and np.isfinite(whole.losses).all()
    assert same(whole, checkpoint.load(tmp_path / "parts.npz")[0])


def test_ctrl_c_inside_an_iteration_saves_the_last_whole_one(tmp_path, monkeypatch):
    whole = run(SMALL, tmp_path / "whole.npz", progress=False)
    from tinymaml import experiment

    calls = []
    original = experiment.gradient

    def interrupted(settings):
        inner = original(settings)

        def gradient(theta, batch):
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            return inner(theta, batch)

        return gradient

    monkeypatch.setattr(experiment, "gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, tmp_path / "stopped.npz", progress=False)
    monkeypatch.undo()
    assert checkpoint.load(tmp_path / "stopped.npz")[0].iteration == 7
    assert same(whole, run(SMALL, tmp_path / "stopped.npz", resume=True, progress=False))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_killed_resumes_as_if_never_stopped(tmp_path, blow):
    path = tmp_path / "maml.npz"
    settings = "Settings(iterations={}, hidden=(6, 6), tasks=3, shots=2, queries=2)"
    code = (
        "from functools import partial; from tinymaml import experiment; from tinymaml.experiment import run;"
        "from tinymaml.settings import Settings;"
        "experiment.train = partial(experiment.train, save_every=5);"  # so that many kills fall into writing
        f"run({settings.format(10**6)}, {str(path)!r}, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(blow)
    process.wait(60)
    done = checkpoint.load(path)[0].iteration
    more = replace(SMALL, iterations=done + 20)
    assert same(run(more, path, resume=True, progress=False), run(more, tmp_path / "whole.npz", progress=False))


def test_a_run_that_dies_while_writing_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "maml.npz"
    first = run(SMALL, path, progress=False)

    def dies(file, **arrays):
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", dies)
    with pytest.raises(OSError, match="No space"):
        run(replace(SMALL, iterations=20), path, resume=True, progress=False)
    monkeypatch.undo()
    assert same(first, checkpoint.load(path)[0])


def test_divergence_stops_names_the_rate_and_saves_finite_parameters(tmp_path):
    path = tmp_path / "maml.npz"
    with pytest.raises(Diverged, match=r"iteration \d+: .*inner_lr 1e\+100: try 1e\+99") as caught:
        run(replace(SMALL, inner_lr=1e100), path, progress=False)
    state, _ = checkpoint.load(path)
    assert state.iteration == caught.value.iteration - 1
    assert np.isfinite(state.theta.flat).all() and np.isfinite(state.losses).all()
    with pytest.raises(Diverged, match="outer_lr"):
        run(replace(SMALL, method="pretraining", outer_lr=1e200), tmp_path / "pre.npz", progress=False)


def test_an_earlier_run_is_never_overwritten(tmp_path):
    path = tmp_path / "maml.npz"
    first = run(SMALL, path, progress=False)
    with pytest.raises(ValueError, match="--resume"):
        run(replace(SMALL, seed=1), path, progress=False)
    for change in ({"seed": 1}, {"hidden": (7, 6)}, {"inner_lr": 0.02}, {"method": "first-order"}):
        with pytest.raises(ValueError, match=f"{path} was trained with {next(iter(change))}"):
            run(replace(SMALL, **change), path, resume=True, progress=False)
    with pytest.raises(ValueError, match="12 iterations are done already"):
        run(replace(SMALL, iterations=3), path, resume=True, progress=False)
    assert same(first, checkpoint.load(path)[0])


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
        reopen(path)
    with pytest.raises(ValueError, match="is not a whole tinymaml checkpoint"):
        run(SMALL, path, resume=True, progress=False)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    path = tmp_path / "maml.npz"
    state = run(SMALL, path, progress=False)
    settings = checkpoint.load(path)[1]
    checkpoint.save(path, replace(state, theta=state.theta.map(lambda array: array[:, :1])), settings)
    with pytest.raises(ValueError, match="another architecture"):
        reopen(path)


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="train"):
        reopen(tmp_path / "nothing.npz")


def test_no_temporary_file_stays(tmp_path):
    run(SMALL, tmp_path / "maml.npz", progress=False)
    assert os.listdir(tmp_path) == ["maml.npz"]


@pytest.mark.parametrize("wrong", [
    {"method": "magic"}, {"shots": 0}, {"steps": 0}, {"inner_lr": -0.1}, {"outer_lr": float("nan")}, {"activation": "cube"},
    {"dtype": "int64"}, {"seed": -1}, {"iterations": 0}, {"half_life": -1}, {"ways": 1},
])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def errors_after_one_step(folder, seed, iterations=3000):
    """The mean squared error of MAML and of pre-training on the same 300 new tasks, after one step of the same training."""
    mean = {}
    for method in ("maml", "pretraining"):
        settings = Settings(method=method, iterations=iterations, shots=10, outer_lr=0.003, seed=seed)
        state = run(settings, folder / f"{method}-{seed}.npz", progress=False)
        batch = new_tasks(settings, 300, 100)
        mean[method] = evaluate(model(settings), state.theta, batch, inner_lr=settings.inner_lr, steps=1).mean[1]
    return mean["maml"], mean["pretraining"]


def test_maml_adapts_where_pretraining_cannot(tmp_path):
    """Below a third after one step, on any seed: `python tests/test_training.py` prints the ratio for twelve."""
    maml, pretrained = errors_after_one_step(tmp_path, seed=0)
    assert maml < pretrained / 3


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(12):
            maml, pretrained = errors_after_one_step(Path(folder), seed)
            print(f"seed {seed}: MAML {maml:.2f}, pre-trained {pretrained:.2f}, ratio {maml / pretrained:.2f}", flush=True)
