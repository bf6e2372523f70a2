"""The benchmarks run and count right; nothing here depends on a time."""

import json
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tinymaml import meta_gradient
from tinymaml.experiment import bench

FOLDER = Path(__file__).parents[1] / "bench"


def imported(name):
    """A fixture: a script, imported as it imports its siblings when it is run."""

    @pytest.fixture
    def module(monkeypatch):
        monkeypatch.syspath_prepend(str(FOLDER))
        return import_module(name)

    return module


script = imported("meta_gradient")
architectures = imported("architectures")
cold_start = imported("cold_start")
growth = imported("growth")
straight_line = imported("straight_line")
what_moves = imported("what_moves")


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


# -- the cold start, growth, and NumPy without classes ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sinusoids", "cnn"])
def test_the_cold_start_is_measured_where_all_train_alike(cold_start, kind, capsys):
    assert cold_start.main(["--sinusoids", "--cnn", f"--{kind}", "10", "--threads", "1", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"^\| +{kind} \| +10 \| +1 \| +\d+\.\d\d s, \d+ MB \|", printed, re.MULTILINE)
    for name, module in (("JAX", "jax"), ("torch.func", "torch")):
        assert (f"{name} is left out: ModuleNotFoundError: No module named '{module}'" in printed) == (find_spec(module) is None)


def test_trainings_that_differ_are_no_row(cold_start, monkeypatch):
    monkeypatch.setattr(cold_start, "AGREEMENT", -1.0)
    with pytest.raises(SystemExit, match="the trainings of sinusoids with 2 iterations differ"):
        cold_start.main(["--sinusoids", "2", "--cnn", "--threads", "1", "--repeats", "1"])


def test_a_script_that_fails_is_no_row(cold_start, monkeypatch):
    monkeypatch.setitem(cold_start.SCRIPTS, "tinymaml", "no_such_script.py")
    with pytest.raises(SystemExit, match=r"no_such_script\.py sinusoids 2 failed"):
        cold_start.main(["--sinusoids", "2", "--cnn", "--threads", "1", "--repeats", "1"])


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_a_slope_is_the_power_at_the_end(growth, power):
    sizes = [5, 10, 40, 60]
    assert growth.slope(sizes, [7.0, 3.0 * 10**power, 1.0, 3.0 * 60**power]) == pytest.approx(power)


def test_growth_is_measured_and_drawn(growth, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(growth, "GROWTH", {"tasks": [1, 2], "steps": [1, 3], "filters": [1, 2]})
    assert growth.main(["--seconds", "0", "--figure", str(tmp_path / "growth.png")]) == 0
    rows = [row.split("|")[1:4] for row in capsys.readouterr().out.splitlines()[2:]]
    grown = {"tasks": "1, 2", "steps": "1, 3", "filters": "1, 2"}
    assert [[cell.strip() for cell in row] for row in rows] == [[*item, unit] for item in grown.items() for unit in ("ms", "MB")]
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize(("width", "tasks"), [(1, 1), (3, 2), (40, 25)])
def test_the_straight_line_is_the_meta_gradient(straight_line, workload, factored, width, tasks):
    load = workload(width=width, tasks=tasks)
    found, right = straight_line.straight_line(load, factored)(), load.meta_gradient()().gradient
    assert len(found) == 6
    for array, expected in zip(found, right.values(), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-12)


def test_the_straight_line_is_timed_where_it_agrees(straight_line, monkeypatch, capsys):
    assert straight_line.main(["--seconds", "0"]) == 0
    rows = [row.split("|")[1:-1] for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    assert [row[0].strip() for row in rows[2:]] == ["float64", "float32"] and all(float(cell) > 0 for cell in rows[2][1:5])
    monkeypatch.setitem(straight_line.AGREEMENT, "float64", -1.0)
    with pytest.raises(SystemExit, match="differ by"):
        straight_line.main(["--seconds", "0"])


def test_what_moves_is_told_of_a_trained_network(what_moves, tmp_path, capsys):
    from tinymaml.experiment.options import settings_for
    from tinymaml.experiment.run import run

    run(settings_for("sinusoids", iterations=2, hidden=(4, 4), tasks=2), tmp_path / "maml.npz", progress=False)
    assert what_moves.main([str(tmp_path / "maml.npz"), "--tests", "5"]) == 0
    rows = [row.split("|")[1:-1] for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    assert [row[0].strip() for row in rows[2:6]] == ["all", "the head", "the body", "all but the first layer"]
    assert len({row[1] for row in rows[2:6]}) == 1 and len({row[2] for row in rows[2:6]}) > 1  # alike before, not after
    assert [row[0].strip() for row in rows[-6:]] == ["W1", "b1", "W2", "b2", "W3", "b3"]
