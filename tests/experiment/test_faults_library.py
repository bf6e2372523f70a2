"""The library's doors: every argument of every public call, replaced by what it is not, and what answers.

A call with one wrong argument must end within a second of work, by an answer where the value is right after all, or by an
exception: silent acceptance is a failure. Python's own exception is good enough where it names the trouble.
"""

import time
import warnings
from functools import cache

import numpy as np
import pytest

from tinymaml import MLP, Parameters, adapt, check, meta_gradient, pretraining_gradient, tasks
from tinymaml.check import golden
from tinymaml.methods.es import BlackBoxModel, es_meta_gradient
from tinymaml.methods.imaml import Proximal, conjugate_gradients, implicit_gradient
from tinymaml.methods.multi_step import multi_step_gradient
from tinymaml.methods.reptile import reptile_gradient
from tinymaml.nn.losses import Loss
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import SampledPolicy, leave_one_out_baseline, with_noise
from tinymaml.training.evaluation import ACCURACY, constant, curve, evaluate
from tinymaml.training.loop import initial_state
from tinymaml.training.optimizers import SGD, Adam

NUMBERS, POSITIVE = ("-1", "0", "1.5", "0-d", "empty"), ("0", "1.5")  # of these a sine wave can be made, or be taken at

# which of the values below are right after all, by argument, or by call and argument
RIGHT = {
    "fast_weights examples": ("0",), "Parameters arrays": ("None", "dict"), "Parameters of w": ("0-d", "empty"),
    "task index": ("True", "-1", "0"), "inner_lr": ("-1", "0", "1.5", "dict"), "fast_weights": ("True",),
    "first_order": ("True",), "diverges": ("True",), "constant steps": ("0",), "lr": ("1.5",),
    "SGD.step state": ("dict",), "half_life": ("0",), "beta1": ("0",), "beta2": ("0",), "epsilon": ("1.5",),
    "compare name": ("text",), "Sinusoid amplitude": NUMBERS, "Sinusoid phase": NUMBERS,
    "Sinusoid() x": NUMBERS, "Sinusoid[] tasks": ("0",), "task_blind x": ("0-d", "empty"), "shuffled": ("True",),
    "Goal[] tasks": ("0",), "start_range": POSITIVE, "sigma": ("1.5",), "normalised": ("True",), "climb": ("True",),
    "goal_range": ("1.5",), "noise": POSITIVE, "LinearPolicy.rollout e": ("None",),
    "SampledPolicy noise": ("1.5",), "baseline": ("None",), "max_step": ("None", "1.5"),
    "chunk": ("None",),
    "Filter taps": ("empty",), "Filter() x": ("empty",), "Filter[] tasks": ("0",),
    **dict.fromkeys(("between", "within", "nuisance", "jitter", "shift", "slant", "stretch", "floor"), POSITIVE),
    "seed": ("0",), "step": ("0",), "shape": ("list",), "check_model theta": ("None",), "check_model batch": ("None",),
    "tolerance": POSITIVE, "Derivation.check tolerance": ("None", *POSITIVE), "h": ("1.5",),
    "relative_error mine": ("int array",), "relative_error reference": ("int array",),
    "gradient_by_entries point": NUMBERS, "complex_step_gradient point": ("0-d", "empty"),
    "strength": ("1.5",), "alpha": ("1.5",), "damping": POSITIVE, "conjugate_gradients b": ("empty",),
    "check_equation rates": ("None",), "check_equation weights": ("None",),
    "Derivation v": ("None",), "Problem.draw activation": ("None",),
}  # fmt: skip
WRONG = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "nan": np.nan,
    "inf": np.inf,
    "text": "x",
    "list": [],
    "dict": {},
    "int array": np.arange(6).reshape(1, 2, 3),
    "masked": np.ma.masked_array(np.ones((2, 3, 2)), mask=True),
    "objects": np.array([None, "a"], dtype=object),
    "0-d": np.array(1.0),
    "empty": np.empty((0, 3)),
    "complex": 1 + 2j,
}


def sum_of_squares(point):
    return point.dot(point) if isinstance(point, Parameters) else np.sum(point * point)


def of_copies(points):
    return (points * points).sum(tuple(range(1, points.ndim)))


@cache
def targets() -> dict:
    """Every public call by name: what is called, and arguments that are right."""
    rng = np.random.default_rng(0)
    model = MLP([2, 3, 1], "tanh")
    theta = model.init(rng)
    batch = tasks.TaskBatch(*(rng.standard_normal((2, n, d)) for n, d in ((3, 2), (3, 1), (2, 2), (2, 1))))
    x, y = batch.x_support, batch.y_support
    here, adam = model.at(theta, x, y), Adam()
    own = theta.map(lambda array: np.stack([array, array]))
    images = rng.standard_normal((6, 5, 4))
    generator = {"rng": rng}
    drawn = {**generator, "tasks": 2, "shots": 2, "queries": 2, "dtype": np.float64}
    planes, glyphs, point = tasks.Planes(), tasks.Glyphs(size=8), np.ones((2, 3))
    waves = tasks.Sinusoids()
    steered = LinearPolicy(horizon=3)
    policy_theta = steered.init(rng)
    drawing, rolled = SampledPolicy(MLP([2, 2]), 3), with_noise(tasks.Navigation().sample(rng, tasks=2), rng, 3)
    inner = {"inner_lr": 0.1, "steps": 1}
    derivation = check.Derivation(model, theta, x[0], y[0], v=theta)
    meta = check.MetaDerivation(model, theta, batch, **inner)
    f = sum_of_squares
    return {
        "MLP": (MLP, {"widths": [2, 3, 1], "activation": "tanh", "loss": "squared_error"}),
        "init": (model.init, {**generator, "dtype": np.float32}),
        "at": (model.at, {"theta": theta, "x": x, "y": y}),
        "predict": (model.predict, {"theta": theta, "x": x}),
        "features": (model.features, {"theta": theta, "x": x}),
        "fast_weights": (model.fast_weights, {"theta": theta, "examples": 3}),
        "along": (here.along, {"v": theta}),
        "hvp": (here.hvp, {"v": theta}),
        "Linear": (golden.Linear(2).at, {"theta": Parameters(w=np.ones((2, 1))), "x": x, "y": y}),
        "Linear.init": (golden.Linear(2).init, {**generator, "dtype": np.float32}),
        "Parameters": (lambda arrays: Parameters(arrays), {"arrays": {"w": np.ones(3)}}),
        "Parameters of": (lambda w: Parameters(w=w), {"w": np.ones(3)}),
        "Parameters[]": (theta.__getitem__, {"name": "W1"}),
        "dot": (theta.dot, {"other": theta}),
        "task": (own.task, {"index": 1}),
        "flat_like": (theta.flat_like, {"other": theta}),
        "unflatten": (theta.unflatten, {"vector": theta.flat}),
        "astype": (theta.astype, {"dtype": np.float32}),
        "adapt": (adapt, {"model": model, "theta": theta, "x": x, "y": y, **inner, "fast_weights": True}),
        "meta_gradient": (
            meta_gradient,
            {"model": model, "theta": theta, "batch": batch, **inner, "first_order": False, "fast_weights": False},
        ),
        "initial_state": (initial_state, {"theta": theta, "optimizer": adam, **generator}),
        "pretraining_gradient": (pretraining_gradient, {"model": model, "theta": theta, "batch": batch}),
        "reptile_gradient": (reptile_gradient, {"model": model, "theta": theta, "batch": batch, **inner}),
        "multi_step_gradient": (
            multi_step_gradient, {"model": model, "theta": theta, "batch": batch, "inner_lr": 0.1, "weights": [0.5, 0.5]},
        ),
        "Proximal": (Proximal, {"model": model, "centre": theta, "strength": 2.0}),
        "conjugate_gradients": (conjugate_gradients, {"product": np.positive, "b": point, "steps": 2, "tolerance": 0.1}),
        "implicit_gradient": (
            implicit_gradient,
            {
                "model": model, "theta": theta, "batch": batch, "strength": 2.0, **inner,
                "cg_steps": 2, "tolerance": 0.1, "damping": 0.0,
            },
        ),
        "evaluate": (evaluate, {"model": model, "theta": theta, "batch": batch, **inner, "metric": ACCURACY, "chunk": 1}),
        "curve": (curve, {"values": np.ones((2, 3)), "diverges": True}),
        "constant": (constant, {"values": np.ones(3), "steps": 2, "diverges": True}),
        "SGD": (SGD, {"lr": 0.1}),
        "SGD.start": (SGD(0.1).start, {"theta": theta}),
        "SGD.step": (SGD(0.1).step, {"theta": theta, "gradient": theta, "state": {}}),
        "Adam": (Adam, {"lr": 0.1, "half_life": 10, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8}),
        "Adam.start": (adam.start, {"theta": theta}),
        "Adam.step": (adam.step, {"theta": theta, "gradient": theta, "state": adam.start(theta)}),
        "TaskBatch": (tasks.TaskBatch, {name: getattr(batch, name) for name in ("x_support", "y_support", "x_query", "y_query")}),
        "TaskBatch[]": (batch.__getitem__, {"tasks": slice(0, 1)}),
        "named": (tasks.named, {"name": "planes"}),
        "Sinusoid": (tasks.Sinusoid, {"amplitude": 1.0, "phase": 0.0}),
        "Sinusoid()": (tasks.Sinusoid(1.0, 0.0), {"x": np.ones((3, 1))}),
        "Sinusoid[]": (waves.sample(rng, tasks=2).task_params.__getitem__, {"tasks": 1}),
        "Sinusoids": (tasks.Sinusoids, {"amplitude": (0.1, 5.0), "phase": (0.0, 3.0), "x": (-5.0, 5.0)}),
        "Sinusoids.sample": (waves.sample, drawn),
        "with_task_params": (tasks.with_task_params, {"batch": waves.sample(rng)}),
        "task_blind": (tasks.task_blind, {"tasks": waves, "x": np.ones((3, 1))}),
        "Planes": (tasks.Planes, {"between": 0.6, "within": 0.1, "nuisance": 1.0, "seed": 0}),
        "Planes.classes": (planes.classes, {**generator, "shape": (2, 3)}),
        "Planes.examples": (planes.examples, {**generator, "classes": np.ones((3, 2)), "count": 2, "dtype": np.float64}),
        "Planes.inputs": (planes.inputs, {"points": np.ones((3, 2))}),
        "Planes.plane": (planes.plane, {"x": np.ones((3, 10))}),
        "Filter": (tasks.Filter, {"taps": np.ones(3)}),
        "Filter()": (tasks.Filter(np.ones(3)), {"x": np.ones((2, 4))}),
        "Filter[]": (tasks.Filters().sample(rng, tasks=2).task_params.__getitem__, {"tasks": 1}),
        "Filters": (tasks.Filters, {"steps": 5}),
        "Filters.sample": (tasks.Filters(5).sample, drawn),
        "Goal": (tasks.Goal, {"position": np.ones(2), "horizon": 3}),
        "Goal[]": (tasks.Navigation().sample(rng, tasks=2).task_params.__getitem__, {"tasks": 1}),
        "Navigation": (tasks.Navigation, {"goal_range": 0.5, "start_range": 0.1, "horizon": 3}),
        "Navigation.sample": (tasks.Navigation().sample, drawn),
        "LinearPolicy": (LinearPolicy, {"inputs": 2, "horizon": 3, "noise": 0.1, "discount": 0.9}),
        "LinearPolicy.init": (steered.init, {**generator, "dtype": np.float32}),
        "LinearPolicy.at": (steered.at, {"theta": policy_theta, "x": x, "y": x}),
        "LinearPolicy.hvp": (steered.at(policy_theta, x, x).hvp, {"v": policy_theta}),
        "LinearPolicy.rollout": (steered.rollout, {"theta": policy_theta, "x": x, "e": rng.standard_normal((3, *x.shape))}),
        "SampledPolicy": (SampledPolicy, {
            "network": drawing.network, "horizon": 3, "noise": 0.1, "discount": 0.9, "hessian": "lvc",
            "baseline": leave_one_out_baseline,
            "max_step": 0.1, "cost": "saturated",
        }),
        "SampledPolicy.init": (drawing.init, {**generator, "dtype": np.float32}),
        "SampledPolicy.at": (drawing.at, {"theta": policy_theta, "x": rolled.x_query, "y": rolled.y_query}),
        "SampledPolicy.hvp": (drawing.at(policy_theta, rolled.x_query, rolled.y_query).hvp, {"v": policy_theta}),
        "with_noise": (with_noise, {"batch": batch, **generator, "horizon": 3}),
        "es_meta_gradient": (es_meta_gradient, {
            "model": model, "theta": theta, "batch": batch, **generator, **inner, "pairs": 2, "sigma": 0.1, "normalised": True,
        }),
        "BlackBoxModel": (BlackBoxModel, {"model": model, "tries": 2, "sigma": 0.1, "climb": False, "seed": 0, "step": 0}),
        "BlackBoxModel.at": (BlackBoxModel(model).at, {"theta": theta, "x": x, "y": y}),
        "Glyphs": (tasks.Glyphs, {"size": 8, "jitter": 0.1, "shift": 0.2, "slant": 0.2, "stretch": 0.1}),
        "Glyphs.classes": (glyphs.classes, {**generator, "shape": (2,)}),
        "Glyphs.examples": (glyphs.examples, {**generator, "classes": np.ones((2, 3, 5, 2)), "count": 2, "dtype": np.float32}),
        "Episodes": (tasks.Episodes, {"source": images, "ways": 3, "shuffled": True}),
        "Episodes.sample": (tasks.Episodes(images, ways=3).sample, drawn),
        "Episodes.sample of a family": (tasks.Episodes(planes, ways=3).sample, drawn),
        "pool": (tasks.pool, {"source": planes, **generator, "classes": 3, "examples": 2, "dtype": np.float64}),
        "split": (tasks.split, {**generator, "array": images, "train": 3}),
        "nearest_neighbour": (tasks.nearest_neighbour, {"batch": batch}),
        "check_model": (check.check_model, {"model": model, **generator, "theta": theta, "batch": batch, "inner_lr": 0.1}),
        "compare": (check.compare, {"name": "x", "mine": point, "reference": point, "tolerance": 1e-10, "floor": 1e-3}),
        "relative_error": (check.relative_error, {"mine": point, "reference": point, "floor": 1e-3}),
        "complex_step": (check.complex_step, {"f": sum_of_squares, "point": point, "v": point, "h": 1e-30}),
        "complex_step at theta": (check.complex_step, {"f": sum_of_squares, "point": theta, "v": theta}),
        "central_difference": (check.central_difference, {"f": f, "point": point, "v": point, "h": 0.1, "points": 2}),
        "adaptive_difference": (check.adaptive_difference, {"f": sum_of_squares, "point": point, "v": point}),
        "gradient_by_entries": (check.gradient_by_entries, {"f": f, "point": point, "derivative": check.complex_step}),
        "complex_step_gradient": (check.complex_step_gradient, {"f": of_copies, "point": point}),
        "loss_gradient": (check.loss_gradient, {"model": model, "theta": theta, "x": x[0], "y": y[0]}),
        "meta_gradient_by_complex_step": (
            check.meta_gradient_by_complex_step, {"model": model, "theta": theta, "batch": batch, **inner},
        ),
        "Derivation": (
            check.Derivation,
            {"model": model, "theta": theta, "x": x[0], "y": y[0], "v": theta},
        ),
        "Derivation.reference": (derivation.reference, {"name": "dW[1]"}),
        "Derivation.check": (derivation.check, {"name": "dW[1]", "mine": derivation.reference("dW[1]"), "tolerance": 1e-8}),
        "MetaDerivation": (check.MetaDerivation, {"model": model, "theta": theta, "batch": batch, **inner}),
        "MetaDerivation.reference": (meta.reference, {"name": "loss"}),
        "MetaDerivation.check": (meta.check, {"name": "loss", "mine": meta.reference("loss"), "tolerance": 1e-8}),
        "check_equation": (
            check.check_equation,
            {"number": 21, "mine": multi_step_gradient(model, theta, batch, inner_lr=theta, weights=[1.0]).gradient,
             "model": model, "theta": theta, "batch": batch, **inner, "rates": theta, "weights": [1.0],
             "strength": 2.0, "tolerance": 1e-8},
        ),
        "Problem": (
            check.Problem, {"widths": (2, 3, 2), "activation": "tanh", "loss": "squared_error", "tasks": 2, "seed": 0},
        ),
        "Problem.draw": (check.Problem.draw, {**generator, "activation": "tanh", "steps": 1}),
    }  # fmt: skip


def ending(call, arguments: dict) -> str:
    """How a call ends: "answer", "refused", or what else happened."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(**arguments)
        found = "answer"
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError) as error:
        found = "refused" if str(error) else repr(error)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    return found if time.process_time() - began < 1 else f"{found}, after more than a second"


@pytest.mark.parametrize("name", targets())
def test_a_wrong_argument_is_refused(name, capsys):
    call, right = targets()[name]
    assert ending(call, right) == "answer"
    for argument in right:
        for what, value in WRONG.items():
            found = ending(call, {**right, argument: value})
            may = what in RIGHT.get(f"{name} {argument}", RIGHT.get(argument, ()))
            assert found == "refused" or (found == "answer" and may), f"{name} with {argument} = {what}: {found}"
    capsys.readouterr()


def test_what_the_battery_holds_against_a_call():
    def slow(number):
        began = time.process_time()
        while time.process_time() - began < 1:
            number += 1

    assert ending(np.zeros, {"shape": "x"}) == "refused" and ending(np.zeros, {"shape": 2}) == "answer"
    assert ending(warnings.warn, {"message": "x"}).startswith("UserWarning")
    assert ending(slow, {"number": 1}) == "answer, after more than a second"


def test_subclasses_of_arrays_and_old_sources_of_random_numbers_are_told_what_to_use():
    with pytest.raises(TypeError, match=r"^w is a MaskedArray, .*: .*w\.filled\(0\)$"):
        Parameters(w=np.ma.masked_array([1.0], [True]))
    with pytest.raises(TypeError, match=r"^w is a matrix, .*: use np\.asarray\(w\)$"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Parameters(w=np.matrix([[1.0]]))
    for rng in (0, None, np.random.RandomState(0), np.random):
        with pytest.raises(TypeError, match=r"^rng is .*, expected a NumPy Generator: use np\.random\.default_rng\(0\)$"):
            tasks.Sinusoids().sample(rng)
    for dtype in (int, "int64", complex, np.float16, ">f8" if np.little_endian else "<f8", None, 1.0):
        with pytest.raises(TypeError, match=r"^dtype is .*, expected float32 or float64: use np\.float64$"):
            tasks.Sinusoids().sample(np.random.default_rng(0), dtype=dtype)
    for dtype in (np.float32, "float32", np.dtype("f4"), float):
        tasks.Sinusoids().sample(np.random.default_rng(0), dtype=dtype)


def test_a_batch_holds_a_task_and_an_example():
    some = lambda tasks, n: np.ones((tasks, n, 1))
    for sizes in ((0, 3), (2, 0)):
        with pytest.raises(ValueError, match="expected at least one task and one example"):
            tasks.TaskBatch(some(*sizes), some(*sizes), some(*sizes), some(*sizes))
        with pytest.raises(ValueError, match=r"^x has shape"):
            model = MLP([1, 1])
            adapt(model, model.init(np.random.default_rng(0)), some(*sizes), some(*sizes), inner_lr=0.1)


def test_the_initialisation_is_shared_and_the_state_is_of_this_theta():
    model, batch = MLP([1, 2, 1]), tasks.Sinusoids().sample(np.random.default_rng(0), tasks=2, shots=3, queries=3)
    theta = model.init(np.random.default_rng(0))
    own = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=0.1)
    for fast_weights in (True, False):
        with pytest.raises(ValueError, match=r"^W1 of theta has shape \(2, 1, 2\) and its gradient .*: theta is shared"):
            meta_gradient(model, own, batch, inner_lr=0.1, fast_weights=fast_weights)
    adam, smaller = Adam(), Parameters(W1=np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"^m of the state has shape \(2,\), expected \(7,\): it belongs to another theta"):
        adam.step(theta, theta, adam.start(smaller))
    with pytest.raises(ValueError, match=r"^b1 has shape None, expected \(1, 2\)"):
        adam.step(theta, smaller, adam.start(theta))
    with pytest.raises(ValueError, match=r"^W1 has shape \(2, 1, 2\), expected \(1, 2\)"):
        adam.step(theta, own.dense(), adam.start(theta))


def test_targets_that_are_not_numbers_are_refused_for_any_loss():
    mine = Loss("mine", lambda z, y: (z - y).sum(-1), lambda z, y: z, lambda z, y, r: r)
    for loss in (mine, "squared_error", "cross_entropy"):
        model = MLP([2, 3], loss=loss)
        with pytest.raises(ValueError, match=r"^y holds 12 values that are NaN"):
            model.at(model.init(np.random.default_rng(0)), np.ones((4, 2)), np.full((4, 3), np.nan))
