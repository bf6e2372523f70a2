"""A run from its settings: resumed bit for bit, stopped at any moment, never trained on NaN, opened again and judged."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinymaml import methods, tasks
from tinymaml.experiment import checkpoint
from tinymaml.experiment.options import options_of, settings_for
from tinymaml.experiment.run import evaluate_method, initialisation, load_run, new_tasks, rng_for, run
from tinymaml.settings import PURPOSES
from tinymaml.training.loop import Diverged

TINY = {"family": "sinusoids", "iterations": 12, "hidden": (6, 6), "tasks": 3, "shots": 2, "queries": 2}
SMALL = settings_for(**TINY)
PAIRS = [
    (family.name, method.name)
    for family in tasks.FAMILIES for method in methods.METHODS
    if "data" not in options_of(family) and method.supports(family)
]  # fmt: skip


def same(one, other):
    """Bit for bit: parameters, optimiser, generator, history."""
    return (
        one.iteration == other.iteration
        and all(np.array_equal(one.theta[n], other.theta[n]) and one.theta[n].dtype == other.theta[n].dtype for n in one.theta)
        and all(np.array_equal(one.optimizer[n], other.optimizer[n]) for n in one.optimizer)
        and one.generator == other.generator
        and np.array_equal(one.losses, other.losses)
    )


@pytest.mark.parametrize(("family", "method"), PAIRS)
def test_every_method_of_every_family_can_be_trained_and_judged(tmp_path, family, method):
    few = {"classes": 12} if family == "glyphs" else {}
    hidden = (6,) * len(settings_for(family).hidden)
    settings = settings_for(family, method, tasks=3, queries=2, hidden=hidden, inner_lr=0.01, iterations=3, **few)
    theta = initialisation(settings)
    if methods.named(method).gradient:
        state = run(settings, tmp_path / "run.npz", progress=False)
        assert np.isfinite(state.losses).all() and state.theta.dtype == settings.dtype
        theta = load_run(tmp_path / "run.npz")[0].theta
    curve = evaluate_method(settings, theta, new_tasks(settings, 4, 2), 2)
    assert curve.values.shape == (3, 4) and np.isfinite(curve.values).all()
    if not methods.named(method).adapts:
        assert (curve.values == curve.values[0]).all()


def test_every_purpose_has_a_stream_of_its_own_that_never_changes():
    numbers = [rng_for(0, purpose).random() for purpose in PURPOSES]
    assert len(set(numbers)) == len(PURPOSES) == 5
    assert rng_for(3, "testing tasks").random() == np.random.default_rng([3, 2]).random()


@pytest.mark.parametrize("change", [
    {}, {"method": "first-order"}, {"method": "pretraining"}, {"method": "oracle"}, {"half_life": 4}, {"dtype": "float32"},
    {"steps": 2}, {"family": "planes", "method": "transfer"},
    {"family": "planes", "method": "prototypes"},
    *({"method": method.name} for method in methods.METHODS if not method.default and method.name != "prototypes"),
])
def test_a_run_resumed_with_more_iterations_equals_one_never_stopped(tmp_path, change):
    settings = settings_for(**TINY | change)
    whole = run(settings, tmp_path / "whole.npz", progress=False)
    run(replace(settings, iterations=5), tmp_path / "parts.npz", progress=False)
    parts = run(settings, tmp_path / "parts.npz", resume=True, progress=False)
    assert same(whole, parts)
    assert whole.losses.shape == (12,) and np.isfinite(whole.losses).all()
    assert same(whole, checkpoint.load(tmp_path / "parts.npz")[0])


def test_ctrl_c_inside_an_iteration_saves_the_last_whole_one(tmp_path, monkeypatch):
    whole = run(SMALL, tmp_path / "whole.npz", progress=False)
    import tinymaml.experiment.run as module

    calls = []
    original = module.gradient

    def interrupted(settings):
        inner = original(settings)

        def gradient(theta, batch, iteration):
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            return inner(theta, batch, iteration)

        return gradient

    monkeypatch.setattr(module, "gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, tmp_path / "stopped.npz", progress=False)
    monkeypatch.undo()
    assert checkpoint.load(tmp_path / "stopped.npz")[0].iteration == 7
    assert same(whole, run(SMALL, tmp_path / "stopped.npz", resume=True, progress=False))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_killed_resumes_as_if_never_stopped(tmp_path, blow):
    path = tmp_path / "maml.npz"
    settings = "settings_for('sinusoids', iterations={}, hidden=(6, 6), tasks=3, shots=2, queries=2)"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # in the background a shell ignores it
        "from functools import partial; import tinymaml.experiment.run as module;"
        "from tinymaml.experiment.options import settings_for;"
        "module.train = partial(module.train, save_every=5);"  # so that many kills fall into writing
        f"module.run({settings.format(10**6)}, {str(path)!r}, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(blow)
        process.wait(60)
    finally:
        process.kill()  # nothing that a test has started outlives it
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
    path = tmp_path / "pre.npz"
    said = r"iteration \d+: .*outer_lr 1e\+200: try outer_lr 1e\+199; the state before it is saved"
    with pytest.raises(Diverged, match=said) as caught:
        run(settings_for(**TINY | {"method": "pretraining", "outer_lr": 1e200}), path, progress=False)
    state, _ = checkpoint.load(path)
    assert state.iteration == caught.value.iteration - 1
    assert np.isfinite(state.theta.flat).all() and np.isfinite(state.losses).all()


def test_a_run_that_diverges_at_once_leaves_no_checkpoint_and_claims_none(tmp_path):
    with pytest.raises(Diverged, match=r"iteration 1: .*inner_lr 1e\+100: try inner_lr 1e\+99$"):
        run(replace(SMALL, inner_lr=1e100), tmp_path / "maml.npz", progress=False)
    assert os.listdir(tmp_path) == [".lock"]


def test_a_resumed_run_that_trains_nothing_leaves_its_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "maml.npz"
    run(SMALL, path, progress=False)
    before = path.read_bytes(), path.stat().st_mtime_ns
    run(SMALL, path, resume=True, progress=False)
    monkeypatch.setattr("tinymaml.experiment.run.gradient", lambda settings: lambda theta, batch, iteration: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(replace(SMALL, iterations=20), path, resume=True, progress=False)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


NO_INNER_LOOP = {"pretraining", "transfer", "scratch", "oracle", "prototypes"}


@pytest.mark.parametrize("method", [each.name for each in methods.METHODS if each.name not in NO_INNER_LOOP])
@pytest.mark.parametrize(("rate", "first"), [("inner_lr", True), ("outer_lr", False)])
def test_divergence_of_a_method_with_an_inner_loop_names_the_rate_to_lower(tmp_path, method, rate, first):
    """Before the first outer step only inner_lr can be too large; later it is mostly outer_lr, and can be either."""
    settings = settings_for(**TINY | {"method": method, rate: 1e160})
    said = "with inner_lr 1e+160: try inner_lr 1e+159" if first else (
        f"with outer_lr 1e+160 and inner_lr {settings.inner_lr:g}: try outer_lr 1e+159 or inner_lr {settings.inner_lr / 10:g}"
    )
    with pytest.raises(Diverged, match=re.escape(said)) as caught:
        run(settings, tmp_path / "run.npz", progress=False)
    assert (caught.value.iteration == 1) == first
    assert (tmp_path / "run.npz").exists() == ("saved in" in str(caught.value)) == (not first)
    if not first:
        state, _ = load_run(tmp_path / "run.npz")
        assert state.iteration == caught.value.iteration - 1 and np.isfinite(state.theta.flat).all()


def test_a_diverged_run_tells_what_its_method_has_to_say(tmp_path):
    sentence = "(the inner loop has not converged in 3 of 3 tasks) with inner_lr 1e+100: try inner_lr 1e+99"
    with pytest.raises(Diverged, match=re.escape(sentence)):
        run(settings_for(**TINY | {"method": "imaml", "inner_lr": 1e100}), tmp_path / "run.npz", progress=False)


def test_an_earlier_run_is_never_overwritten(tmp_path):
    path = tmp_path / "maml.npz"
    first = run(SMALL, path, progress=False)
    with pytest.raises(ValueError, match="--resume"):
        run(replace(SMALL, seed=1), path, progress=False)
    for change in ({"seed": 1}, {"hidden": (7, 6)}, {"inner_lr": 0.02}, {"method": "first-order"}, {"steps": 2}):
        with pytest.raises(ValueError, match=f"{path} was trained with {next(iter(change))} .*: ask for the same"):
            run(settings_for(**TINY | change), path, resume=True, progress=False)
    with pytest.raises(ValueError, match="but 12 are already done"):
        run(replace(SMALL, iterations=3), path, resume=True, progress=False)
    assert same(first, checkpoint.load(path)[0])


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    """By the model itself, which takes no other theta."""
    path = tmp_path / "maml.npz"
    state = run(SMALL, path, progress=False)
    facts = checkpoint.load(path)[1]
    checkpoint.save(path, replace(state, theta=state.theta.map(lambda array: array[:, :1])), facts)
    state, settings = load_run(path)
    with pytest.raises(ValueError, match=r"^W1 of theta has shape \(1, 1\), expected \(1, 6\), or .*: use parameters of this"):
        evaluate_method(settings, state.theta, new_tasks(settings, 2, 2), 1)
    with pytest.raises(ValueError, match=r"^W1 of theta has shape \(1, 1\)"):
        run(replace(SMALL, iterations=20), path, resume=True, progress=False)


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="train"):
        load_run(tmp_path / "nothing.npz")


def test_no_temporary_file_stays(tmp_path):
    run(SMALL, tmp_path / "maml.npz", progress=False)
    assert sorted(os.listdir(tmp_path)) == [".lock", "maml.npz"]


def errors_after_one_step(folder, seed, iterations=3000):
    """The mean squared error of MAML and of pre-training on the same 300 new tasks, after one step of the same training."""
    mean = {}
    for method in ("maml", "pretraining"):
        settings = settings_for("sinusoids", method, iterations=iterations, shots=10, outer_lr=0.003, seed=seed)
        state = run(settings, folder / f"{method}-{seed}.npz", progress=False)
        batch = new_tasks(settings, 300, 100)
        mean[method] = evaluate_method(settings, state.theta, batch, 1).mean[1]
    return mean["maml"], mean["pretraining"]


def test_maml_adapts_where_pretraining_cannot(tmp_path):
    """Below a third after one step, on any seed: `python tests/experiment/test_run.py` prints the ratio for twelve."""
    maml, pretrained = errors_after_one_step(tmp_path, seed=0)
    assert maml < pretrained / 3


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(12):
            maml, pretrained = errors_after_one_step(Path(folder), seed)
            print(f"seed {seed}: MAML {maml:.2f}, pre-trained {pretrained:.2f}, ratio {maml / pretrained:.2f}", flush=True)
