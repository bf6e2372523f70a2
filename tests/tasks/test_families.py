"""The families of tasks: each is a whole of its own, gives every method the same tasks, and tests on what is new."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_omniglot import files, zipped

import tinymaml
from tinymaml import methods, tasks
from tinymaml.experiment import run
from tinymaml.experiment.cli import main
from tinymaml.experiment.options import options_of, settings_for
from tinymaml.experiment.run import new_tasks, rng_for, sampler
from tinymaml.settings import FIELDS, Settings
from tinymaml.tasks import omniglot_archive

GENERATED = [family.name for family in tasks.FAMILIES if "data" not in options_of(family)]
MAIN, NAMES = (*FIELDS, "method"), [method.name for method in methods.METHODS]
HOME = Path(tinymaml.__file__).parent
ABOVE = sorted(path for path in HOME.rglob("*.py") if path.parent.name not in ("check", "methods", "tasks"))


def small(family, method="maml", **more):
    few = {"classes": 12} if family == "glyphs" else {}
    layers = len(settings_for(family).hidden)
    return settings_for(family, method, tasks=3, queries=2, hidden=(6,) * layers, **few, **more)


def test_names_are_unique_and_every_family_has_a_description():
    assert len({family.name for family in tasks.FAMILIES}) == len(tasks.FAMILIES)
    assert all(family.help for family in tasks.FAMILIES)
    with pytest.raises(ValueError, match="unknown family 'chess': choose one of sinusoids, planes, sequences, navigation"):
        tasks.named("chess")


@pytest.mark.parametrize("family", tasks.FAMILIES, ids=lambda family: family.name)
def test_a_family_changes_only_defaults_that_there_are(family):
    known = {*FIELDS, *options_of(family, *methods.METHODS)}
    assert set(family.defaults) <= known


OTHERS = {
    "method": "first-order", "ways": 3, "shots": 2, "fixed_labels": True, "activation": "softplus", "norm": "layer", "model": "?",
    "hidden": (7,) * 4,
}  # fmt: skip


@pytest.mark.parametrize("family", [family for family in tasks.FAMILIES if family.paper], ids=lambda family: family.name)
def test_published_results_apply_to_their_own_settings_only(family):
    tried = [*OTHERS.items(), ("ways", 5), ("ways", 20), ("shots", 1), ("shots", 5), ("model", "mlp"), ("model", "cnn")]
    shared = {"family": family.name, "seed": 3, "dtype": "float32", "iterations": 2}
    for each in family.paper:
        reported = lambda given: family.reported(Settings(**shared, **{n: v for n, v in given.items() if n in MAIN}, options={
            name: value for name, value in given.items() if name not in MAIN
        }))  # fmt: skip
        assert reported(each.settings) == each.values and set(each.values) <= set(family.report_steps)
        assert {"method", "shots", "hidden", "activation"} <= each.settings.keys() and each.settings["method"] in NAMES
        for name, value in tried:
            if name in each.settings and value != each.settings[name]:
                found = reported({**each.settings, name: value})
                assert found is None or found != each.values


def test_the_papers_number_is_not_printed_under_another_task():
    """As `compare omniglot --ways 20` and `--model cnn` did, and `compare --width 5`."""
    family, usual = tasks.named("omniglot"), settings_for("omniglot", norm="batch", activation="relu", data=".")
    assert family.reported(usual) == {3: 89.7}
    for more in ({"ways": 20}, {"model": "cnn"}, {"norm": "none"}, {"activation": "tanh"}, {"hidden": (256, 128, 64)}):
        assert family.reported(settings_for("omniglot", **{"norm": "batch", "activation": "relu", "data": "."} | more)) is None
    filters = lambda **more: family.reported(settings_for("omniglot", model="cnn", hidden=(64,) * 4, data=".", **more))
    assert (filters(), filters(ways=20, shots=5)) == ({3: 98.7}, {5: 98.9})
    sinusoids = lambda **more: tasks.named("sinusoids").reported(settings_for("sinusoids", **more))
    assert sinusoids() and sinusoids(method="pretraining") != sinusoids()
    assert not any((sinusoids(shots=10), sinusoids(hidden=(5, 5)), sinusoids(activation="tanh"), sinusoids(method="reptile")))


@pytest.mark.parametrize("family", GENERATED)
def test_all_methods_meet_the_same_tasks(family):
    one, other = small(family), small(family, "first-order", inner_lr=0.001)
    batches = [sampler(settings)(rng_for(settings.seed, "training tasks")) for settings in (one, other)]
    np.testing.assert_array_equal(batches[0].x_query, batches[1].x_query)
    np.testing.assert_array_equal(new_tasks(one, 3, 2).y_query, new_tasks(other, 3, 2).y_query)


@pytest.mark.parametrize("family", GENERATED)
def test_references_have_one_number_for_each_task(family):
    chosen, batch = tasks.named(family), new_tasks(small(family), 4, 3)
    for baseline in chosen.baselines:
        assert baseline.value(batch).shape == (4,) and np.isfinite(baseline.value(batch)).all()


@pytest.mark.parametrize("family", [each for each in tasks.FAMILIES if each.classes], ids=lambda family: family.name)
@pytest.mark.parametrize("method", ["maml", "transfer"])
def test_new_classes_are_never_training_classes_whatever_the_seed_of_an_evaluation(tmp_path, monkeypatch, family, method):
    """Which classes were trained on is of the run: an evaluation seed draws other episodes of the other classes."""
    monkeypatch.setattr(omniglot_archive, "SETS", {"images_background": 3})
    zipped(tmp_path, files(drawings=20))
    data = ["--data", str(tmp_path)] if "data" in options_of(family) else []
    small = ["--classes", "2" if data else "12", "--ways", "2", "--width", "4", "--tasks", "2", "--iterations", "1", "--quiet"]
    argv = ["--family", family.name, "--method", method, "--seed", "7", *small, *data, "--out", str(tmp_path)]
    assert main(["train", *argv]) == 0
    path, seen = tmp_path / f"{method}.npz", []
    setup = run.adaptation_setup
    monkeypatch.setattr(run, "adaptation_setup", lambda *given: seen.append(given[2]) or setup(*given))
    for seed in range(6):
        assert main(["evaluate", str(path), "--seed", str(seed), "--tasks", "5", "--steps", "1", *data]) == 0
    assert main(["evaluate", str(path), "--tasks", "5", "--steps", "1", *data]) == 0
    settings = run.load_run(path, *data[1:])[1]
    trained, inputs = family.classes(settings), family.sizes(settings).inputs
    read = lambda array: array * np.float32(1 / 255) if array.dtype == np.uint8 else array
    rows = lambda array: {row.tobytes() for row in read(array).reshape(-1, inputs)}
    one = family.training(settings).sample(rng_for(7, "training tasks"), tasks=2, shots=1, queries=5, dtype="float32")
    assert rows(one.x_query) <= rows(trained)
    kept = family.testing(settings).source
    for batch in seen:
        if isinstance(kept, np.ndarray):  # the test classes of the run
            assert rows(batch.x_query) <= rows(kept)
        assert batch.x_query.dtype == np.float32 and not (rows(batch.x_support) | rows(batch.x_query)) & rows(trained)
    assert len({batch.x_query.tobytes() for batch in seen}) == 7


def test_planes_come_without_end_unless_a_number_is_asked():
    endless, nine = (tasks.named("planes").training(small("planes", **more)).source for more in ({}, {"classes": 9}))
    assert isinstance(endless, tasks.Planes) and nine.shape == (9, 20, 10)
    assert len(tasks.named("planes").classes(small("planes"))) == 200
    with pytest.raises(ValueError, match="add --classes 5"):
        tasks.named("planes").training(small("planes", fixed_labels=True))
    assert not tasks.named("planes").training(small("planes", classes=5, fixed_labels=True)).shuffled


def test_importing_the_package_imports_neither_pillow_nor_matplotlib():
    code = "import sys, tinymaml.settings, tinymaml.experiment.run; print(sorted({'PIL', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def literals(source):
    """Every string constant of a module but for docstrings, with its line."""
    tree = ast.parse(source)
    bodies = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, bodies) and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def naming(source):
    """The lines whose string constants name a method or a family, as a word or part of one that is."""
    names = [each.name for each in (*methods.METHODS, *tasks.FAMILIES)]
    word = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, names))})(?![\w-])")
    return [f"line {line}: {text}" for line, text in literals(source) if word.search(text)]


@pytest.mark.parametrize("module", ABOVE, ids=lambda path: path.stem)
def test_no_file_above_names_a_method_or_a_family(module):
    assert naming(module.read_text(encoding="utf-8")) == []


def test_a_file_that_did_would_be_found():
    assert naming('if settings.method == "maml":\n    print(f"the {x} oracle is told")') != []
    assert len(naming('a = {"first-order": 1}\nb = f"on planes, {a}"')) == 2
    assert naming('"""As the oracle does."""\nprint("tinymaml makes an oracles-choice of order first")') == []
