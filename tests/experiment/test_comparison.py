"""The comparison: every method and every reference in the table, in the JSON and in the figure, one new file at a time."""

import json
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from tinymaml import Parameters, meta_gradient, methods, plot, pretraining_gradient, tasks, validate
from tinymaml.experiment import comparison
from tinymaml.experiment.cli import main
from tinymaml.experiment.comparison import run_comparison, table
from tinymaml.experiment.options import settings_for_each
from tinymaml.experiment.run import load_run, run
from tinymaml.methods import Method
from tinymaml.settings import Option, PlotStyle
from tinymaml.tasks import Family, Sinusoids
from tinymaml.tasks.family import Baseline, ModelSpec, Published
from tinymaml.training.evaluation import Metric, evaluate

TINY = {"iterations": 3, "tasks": 3, "shots": 2, "queries": 2, "hidden": (5,)}


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn into each file, by its name."""
    seen, save = {}, plot.save

    def watched(figure, path):
        seen[path.name] = [line.get_label() for ax in getattr(figure, "figure", figure).axes for line in ax.lines]
        save(figure, path)

    monkeypatch.setattr(plot, "save", watched)
    return seen


def compared(family, folder, several=None, **asked):
    found = run_comparison(settings_for_each(family, several, **TINY | asked), folder, progress=False)
    return found, json.loads((folder / "results.json").read_text())


def few(monkeypatch, name="sinusoids"):
    """The family of this name with few new tasks."""
    known = [replace(each, test_tasks=6, test_queries=4) if each.name == name else each for each in tasks.FAMILIES]
    monkeypatch.setattr(tasks, "FAMILIES", tuple(known))


# -- a new method ------------------------------------------------------------------------------------------------


def lazy_gradient(model, settings):
    """Pre-training that does only a part of what it should."""

    def gradient(theta, batch, iteration):
        found = pretraining_gradient(model, theta, batch)
        return replace(found, gradient=settings.options["zeal"] * found.gradient)

    return gradient


LAZY = Method(
    "lazy", "pre-training at a fraction of the effort", PlotStyle("lazy learner", "#123456", "--", "x"), lazy_gradient,
    options=(Option("zeal", 0.5, "the part of the gradient that is taken", validate.rate),),
)  # fmt: skip


def test_a_new_method_is_trained_judged_shown_and_can_be_set(tmp_path, monkeypatch, drawn, capsys):
    few(monkeypatch)
    monkeypatch.setattr(methods, "METHODS", (*methods.METHODS, LAZY))
    found, results = compared("sinusoids", tmp_path, zeal=0.25)
    assert found.histories["lazy"].shape == (3,) and found.runs["lazy"].options == {"zeal": 0.25}
    assert "lazy learner  " in table(found) and "lazy learner 0 s" in table(found)
    assert len(results["methods"]["lazy"]["mean"]) == 11 and "lazy" in results["training_seconds"]
    assert results["settings"]["options"]["lazy"] == {"zeal": 0.25}
    assert "lazy learner" in drawn["steps.png"] and "lazy learner" in drawn["training.png"]
    # on the command line: its option is its own, and the checkpoint is opened with it
    argv = ["train", "--method", "lazy", "--iterations", "2", "--quiet", "--out", str(tmp_path / "alone")]
    assert main([*argv, "--zeal", "0.75"]) == 0
    assert main(["evaluate", str(tmp_path / "alone" / "lazy.npz"), "--tasks", "4", "--steps", "1"]) == 0
    assert "lazy learner, 2 iterations" in capsys.readouterr().out
    assert main(["compare", "--methods", "maml", "--zeal", "0.5"]) == 2
    assert "--zeal is for lazy, not for maml" in capsys.readouterr().err
    assert main([*argv, "--zeal", "0.5", "--resume"]) == 2
    assert "was trained with zeal 0.75, not 0.5" in capsys.readouterr().err


@dataclass(frozen=True)
class Found:
    loss: float
    gradient: Parameters


def without_rate(trained):
    return Parameters({name: array for name, array in trained.items() if name != "inner/rate"})


def learning_gradient(model, settings):
    """First-order MAML whose rate shrinks by itself, for want of its true gradient."""

    def gradient(trained, batch, iteration):
        rate = trained["inner/rate"]
        meta = meta_gradient(model, without_rate(trained), batch, inner_lr=rate.item(), first_order=True)
        return Found(meta.loss, Parameters({**meta.gradient, "inner/rate": rate}))

    return gradient


LEARNING = Method(
    "learning", "first-order MAML that trains a rate beside theta",
    PlotStyle("learned rate", "#123456", "--", "x"), learning_gradient,
    initial=lambda model, s, rng: Parameters({**model.init(rng), "inner/rate": np.full((1, 1), s.inner_lr)}),
    start=lambda family, s, trained: replace(
        trained, theta=without_rate(trained.theta), inner_lr=trained.theta["inner/rate"].item()
    ),
)  # fmt: skip


def test_what_a_method_trains_beside_theta_is_in_its_checkpoint_and_used_on_new_tasks(tmp_path, monkeypatch):
    few(monkeypatch)
    monkeypatch.setattr(methods, "METHODS", (*methods.METHODS, LEARNING))
    found = compared("sinusoids", tmp_path, ["learning"])[0]
    state, settings = load_run(tmp_path / "learning.npz")
    rate = state.theta["inner/rate"].item()
    assert 0 < rate < settings.inner_lr == 0.01 and found.starts["learning"].inner_lr == rate
    begun = found.starts["learning"]
    expected = evaluate(begun.model, without_rate(state.theta), found.batch, inner_lr=rate, steps=10)
    np.testing.assert_array_equal(found.curves["learning"].values, expected.values)
    more = replace(settings, iterations=6)
    run(more, tmp_path / "whole.npz", progress=False)
    run(more, tmp_path / "learning.npz", resume=True, progress=False)
    one, other = (load_run(tmp_path / f"{name}.npz")[0].theta for name in ("whole", "learning"))
    np.testing.assert_array_equal(one.flat, other.flat)


def test_a_method_that_is_not_compared_by_default_is_when_it_is_named(tmp_path, monkeypatch):
    few(monkeypatch)
    monkeypatch.setattr(methods, "METHODS", (replace(LAZY, default=False), *methods.METHODS))
    assert "lazy" not in settings_for_each("sinusoids")
    assert list(compared("sinusoids", tmp_path, ["lazy"])[1]["methods"]) == ["lazy", "task-blind"]


# -- a new family ------------------------------------------------------------------------------------------------

def figure(found):
    """Every start, as a line."""
    ax = plot.get_axes()
    for name, begun in found.starts.items():
        ax.plot(begun.theta.flat, label=name)
    return ax


LINES = Family(
    "lines", "regression of sine waves so slow that they look like lines",
    title=lambda s: f"{s.shots}-shot lines of slope {s.options['slope']:g}",
    sizes=lambda s: ModelSpec(1, 1, "squared_error"),
    metric=Metric("return", lambda here, y: -here.loss, digits=3, diverges=False, log=False),
    training=lambda s: Sinusoids(amplitude=(0, s.options["slope"]), x=(-0.1, 0.1)),
    testing=lambda s: Sinusoids(amplitude=(0, s.options["slope"]), x=(-0.1, 0.1)),
    test_tasks=7, test_queries=3, figures={"lines.png": figure}, defaults={"outer_lr": 0.01, "slope": 2.0}, shots=(1, 2),
    options=(Option("slope", 1.0, "the largest slope", validate.rate),),
    baselines=(Baseline("still", PlotStyle("stands still", "#654321"), lambda batch: -(batch.y_query**2).mean((1, 2))),),
    paper=(Published({"method": "maml", "shots": 2, "slope": 2.0}, {1: -0.125}),),
)  # fmt: skip


def test_a_new_family_is_trained_on_judged_by_its_measure_and_shown(tmp_path, monkeypatch, drawn, capsys):
    monkeypatch.setattr(tasks, "FAMILIES", (*tasks.FAMILIES, LINES))
    found, results = compared("lines", tmp_path)
    # it tells no answer and has no classes: neither the oracle nor transfer apply
    assert list(found.runs) == ["maml", "first-order", "pretraining", "scratch"]
    assert found.settings.outer_lr == 0.01 and found.settings.options["slope"] == 2.0
    assert (found.curves["maml"].values < 0).all() and found.curves["maml"].values.shape == (11, 7)
    printed = table(found)
    assert printed.startswith("2-shot lines of slope 2: return on 7 new tasks") and "diverged" not in printed
    assert "stands still" in printed and "-0.125" in printed
    assert results["metric"] == "return" and results["test"] == {"tasks": 7, "queries": 3, "steps": 10}
    assert list(results["methods"]) == ["maml", "first-order", "pretraining", "scratch", "still"]
    assert "stands still" in drawn["steps.png"] and drawn["lines.png"] == ["maml", "first-order", "pretraining", "scratch"]
    argv = ["compare", "lines", "--iterations", "2", "--quiet", "--slope", "3", "--out", str(tmp_path / "more")]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "1-shot lines of slope 3" in printed and "2-shot lines of slope 3" in printed
    assert main(["compare", "--slope", "3"]) == 2
    assert "--slope is for lines, not for sinusoids" in capsys.readouterr().err


# -- what holds for all ------------------------------------------------------------------------------------------


def test_every_trained_method_is_judged_and_in_the_order_that_was_asked(tmp_path, monkeypatch):
    few(monkeypatch)
    found, results = compared("sinusoids", tmp_path)
    usual = [method for method in methods.METHODS if method.default and method.supports(tasks.named("sinusoids"))]
    trained = [method.name for method in usual if method.gradient]
    assert list(found.histories) == trained and set(trained) <= set(results["methods"])
    some = compared("sinusoids", tmp_path / "some", ["scratch", "pretraining"])[1]
    assert list(some["methods"]) == ["scratch", "pretraining", "task-blind"]
    for name, curve in some["methods"].items():
        assert curve == results["methods"][name]  # whoever else is compared changes nothing


def test_nothing_needs_to_be_trained(tmp_path, monkeypatch, drawn):
    few(monkeypatch)
    found, results = compared("sinusoids", tmp_path, ["scratch"])
    assert "training took" not in table(found) and results["training_seconds"] == {}
    assert set(drawn) == {"steps.png", "fits.png"}


@pytest.mark.parametrize("several", [["oracle"], ["first-order", "scratch"]])
def test_the_picture_is_of_what_was_compared(tmp_path, monkeypatch, drawn, several):
    few(monkeypatch)
    compared("sinusoids", tmp_path, several)
    assert ("fits.png" in drawn) == (several != ["oracle"])


@pytest.mark.parametrize("family", ["planes", "glyphs"])
def test_an_episode_is_drawn_whichever_methods_are_compared(tmp_path, monkeypatch, drawn, family):
    few(monkeypatch, family)
    compared(family, tmp_path / "one", ["transfer"], classes=6)
    # after transfer the adapted head sees no inputs, so that there is no plane to colour
    assert ("episode.png" in drawn) == (family == "glyphs")
    compared(family, tmp_path / "two", ["transfer", "pretraining"], classes=6)
    assert "episode.png" in drawn


@pytest.mark.parametrize(("several", "seen"), [(["transfer", "maml"], True), (["transfer"], False)])
def test_the_filters_of_a_cnn_are_drawn_if_it_is_adapted_as_a_whole(tmp_path, monkeypatch, drawn, several, seen):
    few(monkeypatch, "glyphs")
    for model in ("cnn", "mlp"):
        compared("glyphs", tmp_path / model, several, classes=6, model=model, hidden=(2, 2))
        assert ("filters.png" in drawn) == (seen and model == "cnn")
        drawn.clear()


def test_what_cannot_be_tested_on_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "run", partial(pytest.fail, "trained"))
    with pytest.raises(ValueError, match="each class has 20 examples"):
        compared("glyphs", tmp_path, shots=6, classes=6)


def boils_over(at, error=None):
    """A method whose loss is infinite in iteration `at`, or which raises this error there."""

    def gradient(model, settings):
        calls = []

        def gradient(theta, batch, iteration):
            calls.append(1)
            found = pretraining_gradient(model, theta, batch)
            if len(calls) == at and error:
                raise error
            return replace(found, loss=np.inf) if len(calls) == at else found

        return gradient

    return Method("boils-over", "pre-training that does not end well", PlotStyle("boils over", "#123456"), gradient)


@pytest.mark.parametrize(("at", "error", "sentence"), [
    (2, None, "diverged at iteration 2: the loss is inf with outer_lr 0.001: try outer_lr 0.0001; the state before"),
    (1, MemoryError(), "there is not enough memory for it"), (3, FloatingPointError("underflow"), "underflow"),
])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_method_that_fails_is_a_row_and_the_others_go_on(tmp_path, monkeypatch, capsys, drawn, at, error, sentence, place):
    few(monkeypatch)
    monkeypatch.setattr(methods, "METHODS", (*methods.METHODS, boils_over(at, error)))
    order = ["maml", "scratch"]
    alone = compared("sinusoids", tmp_path / "alone", order)[1]
    drawn.clear()
    order.insert(place, "boils-over")
    words = ["--iterations", "3", "--tasks", "3", "--shots", "2", "--queries", "2", "--width", "5"]
    argv = ["compare", "--methods", ",".join(order), *words, "--quiet", "--out", str(tmp_path / "all")]
    runs = settings_for_each("sinusoids", order, **TINY | {"hidden": (5, 5)})
    assert main(argv) == 1
    found = json.loads((tmp_path / "all" / "results.json").read_text())
    assert sentence in found["failed"]["boils-over"] and "boils-over" not in found["methods"] | found["training_seconds"]
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("boils over")]
    assert len(rows) == 1 and sentence in rows[0]
    assert set(drawn) == {"steps.png", "training.png", "fits.png"}
    expected = run_comparison({name: runs[name] for name in ("maml", "scratch")}, tmp_path / "other", progress=False)
    assert found["methods"]["maml"]["mean"] == expected.curves["maml"].mean.tolist() and alone["failed"] == {}


def test_where_all_diverge_the_references_are_left(tmp_path, monkeypatch, drawn):
    few(monkeypatch)
    found, results = compared("sinusoids", tmp_path, ["maml", "pretraining"], inner_lr=1e100, outer_lr=1e200)
    assert set(found.failed) == {"maml", "pretraining"} and list(results["methods"]) == ["task-blind"]
    assert all(sentence.startswith("diverged at iteration ") for sentence in found.failed.values())
    assert set(drawn) == {"steps.png"} and "task-blind" in table(found)


@pytest.mark.parametrize("broken", ["curves", "training", "fits_of_tasks", "save"])
@pytest.mark.parametrize("error", [RuntimeError("no font\nat all"), OSError(28, "No space left on device"), MemoryError()])
def test_a_figure_that_fails_costs_no_number_and_no_other_figure(tmp_path, monkeypatch, capsys, broken, error):
    few(monkeypatch)

    def fails(*given, **more):
        raise error

    monkeypatch.setattr(plot, broken, fails)
    argv = ["compare", "--methods", "maml,scratch", "--iterations", "2", "--tasks", "2", "--quiet", "--out", str(tmp_path)]
    assert main(argv) == 1
    said = capsys.readouterr()
    assert "from scratch" in said.out and len(json.loads((tmp_path / "results.json").read_text())["methods"]) == 3
    files = {"curves": "steps.png", "training": "training.png", "fits_of_tasks": "fits.png"}
    lost = [files[broken]] if broken in files else list(files.values())
    assert sorted(path.name for path in tmp_path.glob("*.png")) == sorted(set(files.values()) - set(lost))
    begins = [f"tinymaml: {tmp_path / name} could not be written (" for name in lost]
    assert all(line.startswith(begin) for line, begin in zip(said.err.strip().splitlines(), begins, strict=True))


def test_the_table_and_the_numbers_come_before_any_figure(tmp_path, monkeypatch, capsys):
    few(monkeypatch)
    seen = []

    def stopped(*given, **more):
        seen.append((capsys.readouterr().out, json.loads((tmp_path / "results.json").read_text())["methods"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(plot, "curves", stopped)
    assert main(["compare", "--methods", "scratch", "--quiet", "--out", str(tmp_path)]) == 130
    assert "from scratch" in seen[0][0] and "scratch" in seen[0][1]


def test_numbers_that_cannot_be_written_are_told_and_the_table_is_printed(tmp_path, monkeypatch, capsys):
    few(monkeypatch)
    (tmp_path / "results.json").mkdir()
    assert main(["compare", "--methods", "scratch", "--quiet", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "from scratch" in said.out and "results.json could not be written (" in said.err
    assert (tmp_path / "steps.png").exists()


def test_seconds_of_earlier_parts_are_kept(tmp_path, monkeypatch):
    few(monkeypatch)

    def slow(model, settings):
        def gradient(theta, batch, iteration):
            time.sleep(0.02)
            return pretraining_gradient(model, theta, batch)

        return gradient

    slow = Method("slow", "slow pre-training", PlotStyle("slow", "#123456"), slow)
    monkeypatch.setattr(methods, "METHODS", (slow, *methods.METHODS))
    runs = lambda n: settings_for_each("sinusoids", ["slow"], **TINY | {"iterations": n})
    first = run_comparison(runs(5), tmp_path, progress=False).seconds["slow"]
    again = run_comparison(runs(5), tmp_path, resume=True, progress=False).seconds["slow"]
    more = run_comparison(runs(8), tmp_path, resume=True, progress=False).seconds["slow"]
    assert 0.1 <= first <= again and again + 0.06 <= more
    assert json.loads((tmp_path / "results.json").read_text())["training_seconds"] == {"slow": more}


def test_settings_of_another_method_are_refused(tmp_path):
    runs = settings_for_each("sinusoids", ["maml", "es"], **TINY)
    for wrong in ({"es": runs["maml"]}, {"maml": runs["maml"], "es": runs["maml"]}, {"mine": runs["maml"]}):
        with pytest.raises(ValueError, match="has the settings of maml: settings_for_each names each by its method"):
            run_comparison(wrong, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_methods_under_different_settings_are_not_compared(tmp_path):
    runs = settings_for_each("sinusoids", ["maml", "pretraining"], **TINY)
    runs["pretraining"] = replace(runs["pretraining"], seed=1)
    with pytest.raises(ValueError, match="pretraining and maml differ in more than their options"):
        run_comparison(runs, tmp_path)


def test_json_knows_no_infinity(tmp_path, monkeypatch):
    few(monkeypatch)
    results = compared("sinusoids", tmp_path, ["scratch"], inner_lr=1e200)[1]
    assert results["methods"]["scratch"]["median"][-1] is None and results["methods"]["scratch"]["diverged"][-1] > 0
    assert np.isfinite(results["methods"]["task-blind"]["mean"]).all()
