"""One sentence for a mistake at the boundary: what was got, what was expected, and a remedy that helps."""

import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import quick

import tinymaml
from tinymaml import MLP, Parameters
from tinymaml.check import ModelRejected, check_model
from tinymaml.check.golden import Linear
from tinymaml.experiment.cli import main
from tinymaml.experiment.comparison import run_comparison
from tinymaml.experiment.options import settings_for, settings_for_each
from tinymaml.experiment.run import run
from tinymaml.nn.chain import Chain
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.network import Network
from tinymaml.nn.recurrent import Recurrent
from tinymaml.tasks import TaskBatch, omniglot
from tinymaml.training.loop import initial_state, train
from tinymaml.training.optimizers import SGD, Adam

HOME = Path(tinymaml.__file__).parent
TINY = ["--width", "2", "--tasks", "2", "--shots", "1", "--queries", "1", "--iterations", "1", "--quiet"]
FIRST = Affine(2, 3, 1)


class NoInit:
    """A layer of a user's own with a parameter and no start for it."""

    shapes = {"k": (1, 3)}  # noqa: RUF012
    forward = backward = R_forward = R_backward = None


rng = lambda: np.random.default_rng(0)
theta = lambda: MLP([2, 3]).init(rng())
batch = lambda x: TaskBatch(x, np.ones((2, 3, 1)), np.ones((2, 3, 1)), np.ones((2, 3, 1)))
uneven = lambda: [np.ones((3, 1)), np.ones((5, 1))]


@pytest.mark.parametrize(("call", "kind", "sentence"), [
    (lambda: Chain([FIRST, None]), TypeError, r"layer 2 of the chain is None, expected a layer with forward, .*: see"),
    (lambda: Chain([np.tanh, FIRST]), TypeError, r"layer 1 of the chain is <ufunc 'tanh'>, .*Elementwise for an activation"),
    (lambda: Chain(["tanh"]), TypeError, r"layer 1 of the chain is 'tanh'"),
    (lambda: Chain([FIRST, Elementwise]), TypeError, r"layer 2 of the chain is <class .*Elementwise'>"),
    (lambda: Chain([MLP([2, 3]), FIRST]), TypeError, r"layer 1 of the chain is a Network, .*: use its body$"),
    (lambda: Chain(FIRST), TypeError, r"layers is Affine\(.*: put it in a list"),
    (lambda: Network([FIRST, lambda z: z]), TypeError, r"layer 2 of the chain is <function .*>"),
    (lambda: Network(None), TypeError, r"layers is None, expected a list of layers"),
    (lambda: Recurrent(None, 3), TypeError, r"layer 1 of the chain is None"),
    (lambda: Recurrent(Chain([MLP([3, 2])]), 3), TypeError, r"layer 1 of the chain is a Network, .*: use its body$"),
    (lambda: Network([FIRST, NoInit()]), TypeError, r"layer 2 of the chain is .*NoInit.*, expected a layer with init: "),
    (lambda: batch(uneven()), TypeError, r"x_support is a list, expected a NumPy array: use np.asarray"),
    (lambda: SGD(-1), ValueError, r"lr is -1, expected a finite number above zero: try"),
    (lambda: Adam(-1), ValueError, r"lr is -1, expected a finite number above zero: try"),
    (lambda: initial_state(None, Adam(), rng()), TypeError, r"theta is a NoneType, expected Parameters: "),
    (lambda: initial_state(theta(), Adam(), None), TypeError, r"rng is None, expected a NumPy Generator: "),
    (lambda: run_comparison({}, "nowhere"), ValueError, r"there is no method to compare, .*: use settings_for_each"),
    (lambda: run_comparison(settings_for_each("planes", []), "nowhere"), ValueError, r"there is no method to compare"),
])  # fmt: skip
def test_a_call_of_the_library(call, kind, sentence):
    with pytest.raises(kind, match=f"^{sentence}"):
        call()


@quick
@given(st.integers(2, 6), st.integers(1, 5), st.data())
def test_class_numbers_are_told_how_to_be_targets(ways, n, data):
    """Whatever the labels are: among them those whose sum is 1, or which are all 1."""
    labels = np.array(data.draw(st.lists(st.integers(0, ways - 1), min_size=n, max_size=n)))
    model, x = MLP([2, ways], loss="cross_entropy"), np.ones((n, 2))
    theta = model.init(rng())
    for wrong in (labels, labels[:, None], labels[:, None].astype(float), labels.astype(float)):
        if wrong.shape == (n, ways):
            continue
        with pytest.raises(ValueError, match=rf"^y has shape .*, expected one-hot rows .*: use np\.eye\({ways}\)\[labels\]"):
            model.at(theta, x, wrong)
    assert np.isfinite(model.at(theta, x, np.eye(ways)[labels]).loss)


def test_a_run_that_is_there_already_is_told_in_the_words_of_python_too(tmp_path):
    settings = settings_for("sinusoids", iterations=1, hidden=(2,))
    run(settings, tmp_path / "maml.npz", progress=False)
    with pytest.raises(ValueError, match=r"holds an earlier run: resume it \(resume=True, or --resume\)"):
        run(settings, tmp_path / "maml.npz", progress=False)


class Lacking:
    """The surface of a model without one of the three, or a model that cannot look at all."""

    def __init__(self, here, lacking):
        for name in {"loss", "gradient", "hvp"} - {lacking}:
            setattr(self, name, getattr(here, name))


@pytest.mark.parametrize("lacking", ["loss", "gradient", "hvp", "all"])
def test_what_a_model_lacks_is_said_once(lacking):
    class Model(Linear):
        def at(self, theta, x, y):
            if lacking == "all":
                raise ZeroDivisionError("on purpose")
            return Lacking(super().at(theta, x, y), lacking)

    of = lambda d: rng().standard_normal((3, 4, d))
    with pytest.raises(ModelRejected) as caught:
        check_model(Model(3), rng(), batch=TaskBatch(of(3), of(1), of(3), of(1)))
    said = str(caught.value)
    sentence = "on purpose" if lacking == "all" else f"Lacking, the result of at(theta, x, y), has no {lacking}: give it one"
    details = said.partition("\n\n")[2]
    assert details.count(sentence) == 1 and "AttributeError" not in details


# -- what a run says at its end ---------------------------------------------------------------------------------


class Doubtful:
    def __init__(self, theta, diagnosis):
        self.loss, self.gradient, self.diagnosis = 1.0, theta, diagnosis


@pytest.mark.parametrize("doubts", [["", "", ""], ["a", "", ""], ["", "a", "b"], ["a", "b", "c"]])
def test_how_many_gradients_were_in_doubt_is_said_once_at_the_end(doubts):
    told, state = iter(doubts), initial_state(Parameters(w=np.ones(2)), SGD(0.1), rng())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gradient = lambda theta, batch, iteration: Doubtful(theta, next(told))
        train(gradient, lambda rng: None, state, optimizer=SGD(0.1), iterations=3)
    found = [each for each in doubts if each]
    expected = [f"the gradient may be inaccurate in {len(found)} of 3 iterations: in the last of these, {each}" for each in found]
    assert [str(each.message) for each in caught] == expected[-1:]


@pytest.mark.parametrize("method", ["imaml", "maml"])
def test_the_command_line_says_that_inner_loops_have_not_converged(tmp_path, method):
    done = program(["train", "--method", method, *TINY[:-3], "--iterations", "5", "--quiet", "--out", str(tmp_path)])
    told = [line for line in done.stderr.splitlines() if "the inner loop has not converged" in line]
    assert done.returncode == 0 and len(told) == (method == "imaml") == len(done.stderr.splitlines())
    sentence = r"tinymaml: the gradient may be inaccurate in \d of 5 iterations: in the last of these, the inner loop"
    assert all(re.match(sentence, line) for line in told)


# -- the command line ---------------------------------------------------------------------------------------------


def program(argv, **environment):
    environment = os.environ | {"PYTHONPATH": str(HOME.parent)} | environment
    return subprocess.run(
        [sys.executable, "-m", "tinymaml", *argv], capture_output=True, timeout=100, env=environment, encoding="latin-1"
    )


@pytest.mark.parametrize("name", ["na\u00efve \u540d\u524d", "it's $HOME", "plain"])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_folder_of_any_name_is_told_on_any_screen(tmp_path, name, encoding):
    done = program(["train", *TINY, f"--out={tmp_path / name}"], PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and done.stderr == "" and (tmp_path / name / "maml.npz").exists()
    told = done.stdout.encode("latin-1").decode(encoding)
    started, command = told.splitlines()[-1].split(" -m tinymaml ")
    assert re.fullmatch(r"next: (\.venv/(\w+/)?bin/)?python[\d.]*", started)
    command = shlex.split(command)
    assert command[0] == "evaluate" and len(command) == 2
    if encoding == "utf-8" or name.isascii():
        assert command[1] == f"{tmp_path / name}/maml.npz"


@pytest.mark.parametrize("columns", ["1", "2", "3", "11", "22", "23", "24", "40"])
def test_help_on_the_narrowest_terminal(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["train", "--help"])
    assert "support" in capsys.readouterr().out


@pytest.mark.parametrize(("line", "sentence"), [
    ("train --family omniglot --data ~nosuchuser/x", "~nosuchuser/x is no images_background.zip"),
    ("train --family glyphs --classes 0", "classes is 0, expected a number of glyphs to draw: ask for 2000"),
    ("train --family glyphs --classes 4", "ways is 5 and there are 4 classes to train on: ask for fewer --ways, or ask for more"),
    ("train --family planes --classes 4", "ways is 5 and there are 4 classes to train on: ask for fewer --ways, or ask for more"),
    ("train --family omniglot --data DATA --classes 11", "ways is 5 and there are 4 classes to test on: ask for fewer"),
    ("train --family omniglot --data DATA --classes 1", "ways is 5 and there are 4 classes to train on: ask for fewer"),
])  # fmt: skip
def test_a_command_that_cannot_be_meant_so(tmp_path, monkeypatch, capsys, line, sentence):
    images = np.zeros((12, 20, 784), np.uint8)
    load = omniglot.load
    monkeypatch.setattr(omniglot, "load", lambda folder: images if folder == str(tmp_path) else load(folder))
    assert main([*line.replace("DATA", str(tmp_path)).split(), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_warning_is_a_sentence_on_the_command_line(capsys):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("always")
        patch.setattr("tinymaml.check.ladder.run", lambda **options: warnings.warn("mind the gap", stacklevel=2) or 0)
        assert main(["check"]) == 0
    assert capsys.readouterr().err == "tinymaml: mind the gap\n"


# -- what is documented is there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.py")), ids=lambda path: path.name)
def test_files_that_a_text_names_are_there(path):
    for name in re.findall(r"\b([a-z_]+\.py)\b", path.read_text(encoding="utf-8")):
        example = name in ("half.py", "lines.py")  # a method and a family that are to be written
        assert example or any([*(HOME.parent / part).rglob(name)] for part in ("tinymaml", "lessons", "tests")), f"{path}: {name}"


def test_the_sampled_surface_has_what_its_text_lists():
    from tinymaml.rl.sampled import SampledPolicy, Surface, with_noise
    from tinymaml.tasks import Navigation

    policy = SampledPolicy(MLP([2, 2]), 3)
    rolled = with_noise(Navigation().sample(rng(), tasks=2), rng(), 3)
    here = policy.at(policy.init(rng()), rolled.x_support, rolled.y_support)
    for names in re.findall(r"^    (\w+(?:, \w+)*) \(T", Surface.__doc__, re.MULTILINE):
        for name in names.split(", "):
            assert hasattr(here, name), name
