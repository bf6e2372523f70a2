"""Sequences of an unknown filter: what they are, what least squares makes of them, a recurrent network for them, its picture."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import quick, seeds

from tinymaml import plot, tasks
from tinymaml.experiment.comparison import run_comparison, table
from tinymaml.experiment.options import settings_for, settings_for_each
from tinymaml.experiment.run import model
from tinymaml.nn.models import RNN
from tinymaml.tasks import Filter, Filters, sequences

few = st.integers(1, 5)


def by_hand(taps, x):
    """y of one sequence, step by step."""
    y = np.zeros(len(x))
    for t in range(len(x)):
        for k in range(3):
            if t - k >= 0:
                y[t] += taps[k] * x[t - k]
    return y


@quick
@given(seed=seeds, count=few, shots=few, queries=few, steps=few, dtype=st.sampled_from(["f8", "f4"]))
def test_a_batch_holds_the_filtered_sequences(seed, count, shots, queries, steps, dtype):
    batch = Filters(steps).sample(np.random.default_rng(seed), tasks=count, shots=shots, queries=queries, dtype=dtype)
    assert batch.x_support.shape == batch.y_support.shape == (count, shots, steps)
    assert batch.x_query.shape == batch.y_query.shape == (count, queries, steps)
    assert batch.task_params.taps.shape == (count, 1, 3)
    for x, y in ((batch.x_support, batch.y_support), (batch.x_query, batch.y_query)):
        assert x.dtype == y.dtype == dtype
        expected = [[by_hand(batch.task_params.taps[i, 0], sequence) for sequence in x[i]] for i in range(count)]
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 if dtype == "f4" else 1e-13)


def test_the_generator_decides_and_no_query_is_a_support_sequence():
    first, again, other = (Filters().sample(np.random.default_rng(seed)) for seed in (5, 5, 6))
    for name in ("x_support", "y_support", "x_query", "y_query"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.y_query, other.y_query)
    assert not (first.x_support[:, None] == first.x_query[:, :, None]).all(-1).any()


def test_taps_and_sequences_are_standard_normal():
    batch = Filters().sample(np.random.default_rng(0), tasks=20_000)
    # the standard errors of a mean and of a standard deviation of 20 000 numbers are below 0.8 %
    for numbers in (batch.task_params.taps[:, 0], batch.x_support[:, 0, :3], batch.x_query[:, 0, -3:]):
        np.testing.assert_allclose(numbers.mean(0), 0, atol=0.04)
        np.testing.assert_allclose(numbers.std(0), 1, atol=0.03)
        assert np.abs(np.corrcoef(numbers.T) - np.eye(3)).max() < 0.04
    # E[y_t^2] counts the taps that have something to see: 1, 2, 3, 3, ... and 33 / 12 = 2.75 a step
    np.testing.assert_allclose((batch.y_query**2).mean((0, 1)), [1, 2] + [3] * 10, rtol=0.05)


def test_a_task_is_rebuilt_from_its_taps_and_a_slice_keeps_its_truth():
    batch = Filters().sample(np.random.default_rng(1), tasks=6)
    one = batch.task_params[2]
    assert one.taps.shape == (3,)
    np.testing.assert_allclose(one(batch.x_query[2]), batch.y_query[2], atol=1e-14)
    part = batch[2:4]
    np.testing.assert_array_equal(part.task_params(part.x_support), part.y_support)
    with pytest.raises(IndexError, match="index 6 is out of bounds"):
        batch.task_params[6]
    with pytest.raises(TypeError, match="parameters of one task, which have no task axis"):
        one[0]


@quick
@given(seed=seeds, shots=few, dtype=st.sampled_from(["f8", "f4"]))
def test_least_squares_finds_the_taps_exactly(seed, shots, dtype):
    batch = Filters().sample(np.random.default_rng(seed), tasks=3, shots=shots, queries=4, dtype=dtype)
    found, eps = sequences.least_squares(batch), np.finfo(dtype).eps
    np.testing.assert_allclose(found.taps, batch.task_params.taps, atol=300 * eps)
    value = {baseline.name: baseline.value for baseline in sequences.FAMILY.baselines}
    assert (value["least-squares"](batch) < (1000 * eps) ** 2).all()
    np.testing.assert_allclose(value["zero"](batch), (batch.y_query.astype(float) ** 2).mean((1, 2)), rtol=1e-5)


def test_least_squares_uses_the_support_set_only():
    batch = Filters().sample(np.random.default_rng(0), tasks=3, shots=2)
    other = replace(batch, x_query=batch.x_query + 1, y_query=0 * batch.y_query, task_params=None)
    np.testing.assert_array_equal(sequences.least_squares(other).taps, sequences.least_squares(batch).taps)


def test_the_oracle_has_the_taps_of_its_task_at_every_step():
    batch = Filters().sample(np.random.default_rng(3), tasks=5, shots=4, queries=3, dtype=np.float32)
    seen = sequences.with_task_params(batch)
    assert seen.x_support.shape == (5, 4, 48) and seen.x_query.shape == (5, 3, 48) and seen.x_query.dtype == np.float32
    steps = seen.x_query.reshape(5, 3, 12, 4)
    np.testing.assert_array_equal(steps[..., 0], batch.x_query)
    np.testing.assert_array_equal(steps[..., 1:], np.broadcast_to(batch.task_params.taps[:, :, None].astype("f4"), (5, 3, 12, 3)))
    assert model(settings_for("sequences", "oracle")).inputs == 48
    with pytest.raises(TypeError, match="task_params of the batch is None, expected a Sinusoid, Filter or Goal: use the"):
        sequences.with_task_params(replace(batch, task_params=None))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: Filters(0), ValueError, "steps is 0, expected at least 1"),
        (lambda: Filters(2.5), TypeError, "steps is 2.5, expected a whole number"),
        (lambda: Filters().sample(0), TypeError, "rng is 0, expected a NumPy Generator"),
        (lambda: Filters().sample(np.random.default_rng(0), shots=0), ValueError, "shots is 0, expected at least 1"),
        (lambda: Filters().sample(np.random.default_rng(0), dtype=int), TypeError, "dtype is .*, expected float32 or float64"),
        (lambda: Filter([1.0, 0.0, 0.0]), TypeError, "taps is a list, expected a NumPy array"),
        (lambda: Filter(np.ones(4)), ValueError, r"taps has shape \(4,\), expected its last axes to be \(3,\)"),
        (lambda: Filter(np.ones(3))(np.array(1.0)), ValueError, r"x is a single number, expected sequences \(..., steps\)"),
        (lambda: Filter(np.ones(3))([1.0]), TypeError, "x is a list, expected a NumPy array"),
        (lambda: settings_model(hidden=(20, 20)), ValueError, r"hidden is \(20, 20\), expected one width, .*: try \(20,\)"),
        (lambda: settings_model(hidden=()), ValueError, r"hidden is \(\), expected one width"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        call()


def settings_model(**asked):
    return model(settings_for("sequences", **asked))


def test_the_network_is_recurrent():
    assert repr(settings_model()) == repr(RNN(1, 20, 1, steps=12))


def test_the_family_is_compared_and_its_picture_drawn(tmp_path, monkeypatch):
    small = replace(sequences.FAMILY, test_tasks=6, test_queries=3)
    monkeypatch.setattr(tasks, "FAMILIES", tuple(small if each.name == small.name else each for each in tasks.FAMILIES))
    drawn, save = {}, plot.save
    monkeypatch.setattr(plot, "save", lambda figure, path: (drawn.update({path.name: figure}), save(figure, path)))
    runs = settings_for_each("sequences", iterations=2, tasks=3, queries=2, hidden=(4,))
    found = run_comparison(runs, tmp_path, progress=False)
    assert list(found.runs) == ["maml", "first-order", "pretraining", "scratch", "oracle"]
    # the metric is a mean over steps: that of the reference, and of a network that says zero
    zero = found.curves["zero"].values[0]
    net = found.starts["maml"].model
    silent = found.starts["maml"].theta * 0.0
    here = net.at(silent, found.batch.x_query, found.batch.y_query)
    np.testing.assert_allclose(small.metric.value(here, found.batch.y_query), zero, rtol=1e-5)
    assert "5-shot sequences: mean squared error per step" in table(found) and "least squares" in table(found)
    panels = drawn["sequence.png"].axes
    assert [ax.get_ylabel() for ax in panels] == ["MAML\n\ny", "", "", "pre-trained\n\ny", "", ""]
    assert [line.get_label() for line in panels[0].lines] == ["truth", "before", "after 1 step"]
    np.testing.assert_array_equal(panels[4].lines[0].get_ydata(), found.batch.y_query[1, 0])
    np.testing.assert_allclose(
        panels[0].lines[1].get_ydata(), net.predict(found.starts["maml"].theta, found.batch.x_query)[0, 0], rtol=1e-5
    )
    # what makes no error is in the legend and not on the log axis
    ax = drawn["steps.png"].figure.axes[0]
    assert "least squares: no error" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.get_ylim()[0] > 1e-3
    assert small.figures["sequence.png"](replace(found, starts={})) is None


# -- the contrast: a recurrent network that learns in its memory ---------------------------------------------------


@pytest.fixture
def script(monkeypatch):
    """The script, imported as it imports its siblings when it is run."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
    import recurrent_learner as memory

    yield memory
    sys.modules.pop("memory", None)


def test_a_step_has_the_target_of_the_step_before_as_input(script):
    x, y = script.points(np.random.default_rng(0), tasks=3)
    rows, targets = script.told_late(np.random.default_rng(0), tasks=3)
    steps = rows.reshape(3, script.POINTS, 2)
    np.testing.assert_array_equal(steps[..., 0], x[..., 0])
    np.testing.assert_array_equal(steps[:, 1:, 1], y[:, :-1, 0])
    assert (steps[:, 0, 1] == 0).all()
    np.testing.assert_array_equal(targets, y[..., 0])


def test_the_table_of_the_contrast(script, capsys):
    errors = script.memory(hidden=3, iterations=2, tests=4, tasks=5)
    assert errors.shape == (4, script.POINTS) and np.isfinite(errors).all()
    errors = script.maml(iterations=2, tests=4, tasks=5)
    assert errors.shape == (4, script.POINTS) and np.isfinite(errors).all()
    assert script.main(["--hidden", "3", "--iterations", "2", "--maml", "2", "--tests", "4"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert "19 examples" in head and [row.split("|")[1].strip() for row in rows] == ["recurrent network", "MAML, one step"]
