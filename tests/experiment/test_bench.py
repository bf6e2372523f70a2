"""The benchmarks run and count right; nothing here depends on a time."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tinymaml import meta_gradient
from tinymaml.experiment import bench

FOLDER = Path(__file__).parents[1] / "bench"


@pytest.fixture
def script(monkeypatch):
    """The long benchmark, imported as it imports its siblings when it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import meta_gradient

    return meta_gradient


@pytest.fixture
def architectures(script):
    """The other one."""
    import architectures

    return architectures


@pytest.fixture
def workload(script):
    """Workloads of regression and of classification."""
    return script.Workload


class Counting(np.ndarray):
    """An array that counts the multiply-adds of products of two matrices: those with the shared W and those of eq. 15."""

    done = 0
    __array_priority__ = 1  # what is joined from such arrays is one

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [np.asarray(array) for array in inputs]
        if ufunc is np.matmul and plain[0].ndim == plain[1].ndim == 2:
            Counting.done += plain[0].size * plain[1].shape[1]
        if out is not None:
            options["out"] = tuple(np.asarray(array) for array in out)
        result = getattr(ufunc, method)(*plain, **options)
        return result.view(Counting) if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize("steps", [1, 3])
def test_multiply_adds_are_those_that_the_factored_form_does_on_all_rows(workload, steps):
    load = workload(kind="classification", width=7, steps=steps, tasks=3)
    theta, batch = load.build()
    counting = load.model.fast_weights(theta.map(lambda array: array.view(Counting)))
    Counting.done = 0
    meta = meta_gradient(load.model, counting, batch, inner_lr=load.inner_lr, steps=steps)
    assert meta.gradient.keys() == theta.keys()  # and so it has been made
    assert Counting.done == load.multiply_adds


def test_multiply_adds_by_hand(workload):
    """One task, 10 + 10 points, 1-2-2-1: layer 1 has 2 entries, the others 4 and 2."""
    assert workload(width=2, tasks=1).multiply_adds == 2 * (2 * 10 + 2 * 10) + (4 + 2) * (6 * 10 + 3 * 10)


def test_medians_take_turns_and_stop_in_time():
    order = []

    def take(name, value):
        order.append(name)
        return value

    turns = {"a": lambda: take("a", len(order)), "b": lambda: take("b", 1.5)}
    assert bench.medians(turns, rounds=3, seconds=60) == {"a": 2, "b": 1.5}
    assert order == ["a", "b"] * 3
    assert bench.medians(turns, rounds=3, seconds=0) == {"a": 6, "b": 1.5}  # one turn at least
    assert len(order) == 8


def test_a_turn_calls_until_its_time_is_filled():
    calls = []
    assert bench.time_call(lambda: calls.append(1), least=1e-3) > 0
    assert len(calls) > 1


def test_the_short_form_prints_a_table(capsys):
    assert bench.run(widths=(2, 3), tasks=2, seconds=0) == 0
    rows = re.findall(r"^ +(\d+)  (float\d\d)((?: +[\d.e+-]+){4})$", capsys.readouterr().out, re.MULTILINE)
    assert [row[:2] for row in rows] == [("2", "float64"), ("3", "float64"), ("2", "float32"), ("3", "float32")]


@pytest.mark.parametrize(("sizes", "sentence"), [
    ({"kind": "poker"}, "unknown kind 'poker'"), ({"dtype": "int8"}, "unknown dtype 'int8'"), ({"width": 0}, "width is 0"),
])
def test_a_case_that_cannot_be_measured_is_refused(workload, sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        workload(**sizes)


def test_all_that_are_installed_agree_and_are_measured(script, tmp_path, capsys):
    options = [
        "--quick", "--widths", "3", "--tasks", "2", "3", "--kinds", "regression", "classification", "--dtypes", "float64",
        "--threads", "1", "--rounds", "1", "--seconds", "0", "--minutes", "10",
    ]
    json_file, figure = tmp_path / "found.json", tmp_path / "figure.png"
    assert script.main([*options, "--json", str(json_file), "--figure", str(figure)]) == 0
    printed, found = capsys.readouterr().out, json.loads(json_file.read_text())
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert [len(found[what]) for what in ("compare", "iterate", "weigh")] == [3, 1, 1]
    for library, contestants in {"jax": ["JAX"], "torch": ["torch.func", "PyTorch loop"]}.items():
        for name in contestants:
            assert (f"{library} is left out: {library} is not installed" in printed) == (library in found["absent"])
            assert all((name in load["seconds"]) == (library not in found["absent"]) for load in found["compare"])
    for load in found["compare"]:
        assert {"tinymaml", "formed", "factored"} <= load["seconds"].keys() and load["share"] > 0
    assert re.search(r"^\| classification \| +float64 \| +1 \| +2 \| +3 \| ", printed, re.MULTILINE)


def test_architectures_are_measured_where_all_agree(architectures, tmp_path, capsys):
    json_file = tmp_path / "found.json"
    options = ["--filters", "2", "--units", "3", "--threads", "1", "--rounds", "1", "--seconds", "0"]
    assert architectures.main([*options, "--json", str(json_file)]) == 0
    printed, found = capsys.readouterr().out, json.loads(json_file.read_text())
    assert [(load["model"], load["norm"]) for load in found["compare"]] == [("CNN", "batch"), ("CNN", "none"), ("RNN", "none")]
    for load in found["compare"]:
        contestants = architectures.CONTESTANTS[load["model"]].items()
        present = {name for name, (library, _) in contestants if library not in found["absent"]} - {"JAX kernels"}
        assert load["seconds"].keys() == present
        assert all(f"{name} : tinymaml" in printed for name in present - {"tinymaml"})
    assert all(f"{library} is left out: {library} is not installed" in printed for library in found["absent"])


def test_architectures_whose_gradient_is_wrong_are_not_timed(architectures, monkeypatch):
    monkeypatch.setitem(architectures.AGREEMENT, "float64", -1.0)
    with pytest.raises(SystemExit, match="differ by"):
        architectures.main(["--filters", "2", "--norms", "none", "--threads", "1", "--peers"])


def test_a_wrong_gradient_is_not_timed(script, monkeypatch):
    monkeypatch.setitem(script.AGREEMENT, "float64", -1.0)
    with pytest.raises(SystemExit, match="differ by"):
        script.main(["--quick", "--widths", "2", "--tasks", "2", "--threads", "1", "--peers"])


def test_a_worker_reports_failures(script):
    worker = script.Worker(1, script.made)
    try:
        with pytest.raises(RuntimeError, match="KeyError"):
            worker.ask("prepare", "nobody", script.Workload(width=2, tasks=2))
    finally:
        worker.close()
    assert not worker.process.is_alive()


def test_time_that_is_up_is_said(script, capsys):
    assert script.main(["--quick", "--widths", "2", "--threads", "1", "--peers", "--minutes", "0"]) == 0
    assert "out of time" in capsys.readouterr().err


def test_help_names_every_default(script, capsys):
    with pytest.raises(SystemExit):
        script.main(["--help"])
    assert "40 128 400 1024" in re.sub(r"\s+", " ", capsys.readouterr().out)
    assert sys.modules["meta_gradient"] is script


# -- the methods side by side ----------------------------------------------------------------------------------------


@pytest.fixture
def race(monkeypatch):
    """The comparison of methods, imported as it imports its siblings when it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import methods

    return methods


def test_methods_are_trained_judged_and_drawn(race, tmp_path, capsys):
    names = ["maml", "reptile", "meta-sgd", "imaml"]
    argv = ["--methods", ",".join(names), "--iterations", "12", "--seeds", "2", "--tests", "5", "--shots", "3", "--steps", "2"]
    assert race.main([*argv, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    assert list(found) == names and all(len(courses) == 2 for courses in found.values())
    for courses in found.values():
        assert [moment["iterations"] for moment in courses[0]["moments"]] == list(range(1, 13))
        seconds = [moment["seconds"] for moment in courses[0]["moments"]]
        assert seconds == sorted(seconds) and seconds[0] > 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:6]] == [race.STYLES[name].label for name in names]
    for name in ("methods.png", "fixed_points.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_of_seeds_stands_the_median_as_far_as_all_have_come(race):
    course = lambda means: {"moments": [{"iterations": i, "mean": [mean, 1.0]} for i, mean in enumerate(means)], "diverged": ""}
    assert race.medians([course([1.0, 5.0]), course([2.0]), course([9.0, 7.0, 7.0])]) == [{"iterations": 0.0, "mean": [2.0, 1.0]}]


def test_a_training_that_diverges_is_counted_and_one_that_takes_too_long_stops(race, capsys):
    from tinymaml.experiment.options import settings_for

    lost = race.course(settings_for("sinusoids", iterations=12, inner_lr=1e100, tasks=2), 3, np.inf)
    assert lost["moments"] == [] and "iteration 1" in lost["diverged"]
    assert "1 of 1" in race.table({"maml": [lost]})
    assert len(race.course(settings_for("sinusoids", iterations=12, tasks=2), 3, 0.0)["moments"]) == 1


def test_what_moves_is_told_of_a_trained_network(monkeypatch, tmp_path, capsys):
    from tinymaml.experiment.options import settings_for
    from tinymaml.experiment.run import run

    monkeypatch.syspath_prepend(str(FOLDER))
    import what_moves

    run(settings_for("sinusoids", iterations=2, hidden=(4, 4), tasks=2), tmp_path / "maml.npz", progress=False)
    assert what_moves.main([str(tmp_path / "maml.npz"), "--tests", "5"]) == 0
    rows = [row.split("|")[1:-1] for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    assert [row[0].strip() for row in rows[2:6]] == ["all", "the head", "the body", "all but the first layer"]
    assert len({row[1] for row in rows[2:6]}) == 1 and len({row[2] for row in rows[2:6]}) > 1  # alike before, not after
    assert [row[0].strip() for row in rows[-6:]] == ["W1", "b1", "W2", "b2", "W3", "b3"]
