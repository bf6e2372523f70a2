"""Sizes that no machine has: refused in a sentence before anything is allocated, and nothing is refused that would run."""

import tracemalloc

import numpy as np
import pytest

import tinymaml.plot  # and with it matplotlib: not while memory is measured  # noqa: F401
from tinymaml.experiment import cli, memory
from tinymaml.experiment.options import settings_for
from tinymaml.experiment.run import evaluate_method, fits, initialisation, new_tasks, run
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.network import Network
from tinymaml.tasks import glyphs, planes
from tinymaml.training import evaluation

HUGE = str(10**30)
TRAIN = [
    "--tasks 1000000000", "--tasks 9223372036854775807", f"--tasks {HUGE}", f"--shots {HUGE}", f"--queries {HUGE}",
    "--shots 100000 --queries 100000 --tasks 100", "--width 1000000", f"--width {HUGE}", "--width 300000",
    "--width 3037000500", "--steps 10000 --width 3000", f"--iterations {HUGE}",
    "--iterations 1000000000000",
    "--dtype float32 --tasks 10000000000", f"--method first-order --tasks {HUGE}", f"--method pretraining --shots {HUGE}",
    f"--method oracle --queries {HUGE}", f"--method pretraining --width {HUGE}", "--method first-order --width 300000",
    f"--family planes --tasks {HUGE}", f"--family planes --classes {HUGE}", "--family planes --classes 1000000000",
    f"--family planes --shots {HUGE}", f"--family planes --method transfer --classes {HUGE}", f"--family planes --ways {HUGE}",
    f"--family planes --method transfer --tasks {HUGE}", f"--family planes --width {HUGE}",
    f"--family glyphs --classes {HUGE}", "--family glyphs --classes 100000000", f"--family glyphs --width {HUGE}",
    f"--family glyphs --classes 20 --tasks {HUGE}", f"--family glyphs --classes 20 --queries {HUGE}",
]  # fmt: skip
COMPARE = [
    f"--tasks {HUGE}", f"--shots {HUGE}", f"--width {HUGE}", f"--iterations {HUGE}", "--shots 1000000000",
    f"planes --classes {HUGE}", f"planes --ways {HUGE}", "planes --ways 100000",
    "--queries 1000000000000",
]  # fmt: skip


@pytest.fixture
def eight(monkeypatch):
    """A machine of eight gigabytes."""
    monkeypatch.setattr(memory, "available", lambda: 8 * 10**9)


@pytest.mark.parametrize("line", [*(f"train {each}" for each in TRAIN), *(f"compare {each}" for each in COMPARE)])
def test_a_command_line_that_asks_for_too_much_is_refused_and_nothing_is_allocated(eight, tmp_path, capsys, line):
    tracemalloc.start()
    try:
        status = cli.main([*line.split(), "--out", str(tmp_path / "run")])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = capsys.readouterr()
    assert status == 2 and said.out == "" and said.err.count("\n") == 1
    assert " GB of memory and this machine has about 8.0 GB: lower --" in said.err
    assert peak < 50_000_000 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "line", ["--tasks 100000000000", f"--tasks {HUGE}", f"--shots {HUGE}", "--shots 1000000000"]
)
def test_too_much_to_evaluate_is_refused(eight, tmp_path, capsys, line):
    path = tmp_path / "maml.npz"
    run(settings_for("sinusoids", iterations=1, hidden=(4,)), path, progress=False)
    assert cli.main(["evaluate", str(path), *line.split()]) == 2
    assert "GB of memory and this machine has about 8.0 GB: lower --" in capsys.readouterr().err


SIZES = [
    {"family": "sinusoids"},
    {"family": "sinusoids", "hidden": (200, 200), "tasks": 20},
    {"family": "sinusoids", "shots": 200, "queries": 200},
    {"family": "sinusoids", "steps": 5, "hidden": (100, 100)},
    {"family": "sinusoids", "method": "first-order", "hidden": (100, 100), "shots": 50, "steps": 3},
    {"family": "sinusoids", "method": "pretraining", "hidden": (400, 400), "dtype": "float32"},
    {"family": "sinusoids", "method": "oracle", "tasks": 300},
    {"family": "planes", "tasks": 200},
    {"family": "planes", "steps": 8, "hidden": (200, 200), "classes": 50},
    {"family": "planes", "method": "transfer", "classes": 1000},
    {"family": "glyphs", "classes": 20, "tasks": 100},
    {"family": "sinusoids", "method": "es", "tasks": 4},
    {"family": "sinusoids", "method": "es", "tasks": 4, "inside": "es", "tries": 20, "pairs": 4},
    {"family": "sinusoids", "method": "es", "tasks": 4, "inside": "es", "tries": 50, "pairs": 2, "shots": 50},
]


def measured(job, clear=True):
    if clear:
        planes._pool.cache_clear(), glyphs._pools.cache_clear()
    tracemalloc.start()
    try:
        job()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def estimated(monkeypatch, settings, *new):
    """What `fits` takes a run to need: the most that it compares with the memory that there is."""
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(memory, "fit", lambda needs: seen.append(sum(needs.values())))
        fits(settings, *new)
    return max(seen)


@pytest.mark.parametrize("changes", SIZES, ids=str)
def test_the_estimate_is_from_a_fifth_to_all_of_what_training_takes(monkeypatch, tmp_path, changes):
    settings = settings_for(**{"iterations": 2} | changes)
    took = measured(lambda: run(settings, tmp_path / "run.npz", progress=False))
    assert 0.2 * took < estimated(monkeypatch, settings) <= took


@pytest.mark.parametrize(("changes", "count", "queries"), [
    ({"family": "sinusoids"}, 500, 50), ({"family": "sinusoids", "shots": 300}, 100, 300), ({"family": "planes"}, 200, 15),
    ({"family": "sinusoids", "hidden": (200, 200)}, 100, 30),
])  # fmt: skip
def test_the_estimate_of_new_tasks_is_from_a_fifth_to_all_that_they_take(monkeypatch, changes, count, queries):
    settings = settings_for(**changes)
    theta = initialisation(settings)
    took = measured(lambda: evaluate_method(settings, theta, new_tasks(settings, count, queries), 2))
    assert 0.2 * took < estimated(monkeypatch, settings, count, queries) <= took


def test_a_run_that_just_fits_runs(monkeypatch, tmp_path):
    settings = settings_for("sinusoids", iterations=2, hidden=(6,))
    need = estimated(monkeypatch, settings)
    monkeypatch.setattr(memory, "available", lambda: need - 1)
    with pytest.raises(ValueError, match="this needs at least"):
        run(settings, tmp_path / "run.npz", progress=False)
    monkeypatch.setattr(memory, "available", lambda: need)
    run(settings, tmp_path / "run.npz", progress=False)


def test_where_no_limit_is_known_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: None)
    memory.fit({"--tasks": 10**30})


def test_the_memory_of_this_machine():
    there = memory.available()
    assert there is None or 10**8 < there < 10**15


def test_the_layers_of_any_network_are_counted_once():
    class Windows(Elementwise):  # an example is three rows of it
        def rows_out(self, rows):
            return 3 * rows

    nested = Network([Affine(2, 4, 1), Windows("tanh", 1), Network([Affine(4, 5, 2)]).body])
    assert evaluation.width(nested) == 4 + 3 * 4 + 3 * 5


@pytest.mark.parametrize(("error", "sentence"), [
    (MemoryError(), "too large for the memory of this machine: lower"),
    (MemoryError("Unable to allocate 8 TiB"), "memory of this machine (Unable to allocate 8 TiB): lower"),
    (OverflowError("int too large to convert"), "of this machine (int too large to convert): lower"),
])  # fmt: skip
def test_memory_that_runs_out_anyway_is_a_sentence(monkeypatch, capsys, error, sentence):
    def fails(settings):
        raise error

    monkeypatch.setattr("tinymaml.experiment.run.sampler", fails)
    assert cli.main(["train", "--tasks", "2"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("family", "method", "more"), [
    ("glyphs", "transfer", {"model": "cnn"}), ("glyphs", "maml", {"model": "cnn"}), ("planes", "transfer", {"hidden": (300,)}),
    ("sinusoids", "oracle", {"hidden": (200, 200)}), ("sinusoids", "scratch", {"hidden": (200, 200)}),
])  # fmt: skip
def test_new_tasks_are_judged_a_few_at_a_time_and_no_number_changes(monkeypatch, family, method, more):
    """What four times as many take on top of the first is their own arrays, not what the model makes of them."""
    monkeypatch.setattr(evaluation, "CHUNK_BYTES", 2**20)
    settings = settings_for(family, method, **more | ({"classes": 10} if family != "sinusoids" else {}))
    theta, batch = initialisation(settings), new_tasks(settings, 48, 10)
    few, all_ = (measured(lambda n=n: evaluate_method(settings, theta, batch[:n], 1), clear=False) for n in (12, 48))
    assert all_ < 1.5 * few + 16 * 1024
    whole = evaluate_method(settings, theta, batch, 2).values
    monkeypatch.setattr(evaluation, "CHUNK_BYTES", 2**40)
    np.testing.assert_allclose(evaluate_method(settings, theta, batch, 2).values, whole, rtol=2e-4)
