"""What a process pool is sent, and what it hands back, can be pickled and copied, and is as good as it was."""

import copy
import pickle
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from tinymaml import MLP, Parameters, adapt, meta_gradient, pretraining_gradient, tasks
from tinymaml.check import Derivation, MetaDerivation, ModelRejected, Problem, WrongAnswer, compare
from tinymaml.experiment.options import settings_for
from tinymaml.nn.activations import Activation
from tinymaml.nn.fast_weights import Factored
from tinymaml.nn.losses import Loss
from tinymaml.training.evaluation import ACCURACY, LOSS, evaluate
from tinymaml.training.loop import Diverged, begin
from tinymaml.training.optimizers import SGD, Adam

WAYS = {
    **{f"protocol {n}": lambda thing, n=n: pickle.loads(pickle.dumps(thing, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def half(z, y=None, r=None):
    return z / 2


RNG = np.random.default_rng(0)
MODEL = MLP([20, 30, 2], "tanh")
THETA = MODEL.init(RNG)
BATCH = tasks.TaskBatch(*(RNG.standard_normal((3, n, d)) for n, d in ((2, 20), (2, 2), (4, 20), (4, 2))))
HERE = MODEL.at(THETA, BATCH.x_support, BATCH.y_support)
ADAM = Adam(half_life=7)

THINGS = {
    "network": MODEL,
    "network with a loss of one's own": MLP([2, 3], loss=Loss("half", half, half, half)),
    "loss of one's own": Loss("half", half, half, half),
    "activation of one's own": Activation("half", half, half, half, curved=False),
    "a loss that has the name of ours": Loss("squared_error", half, half, half),
    "parameters": THETA,
    "no parameters": Parameters(),
    "adapted": adapt(MODEL, THETA, BATCH.x_support, BATCH.y_support, inner_lr=0.1),
    "adapted, factored": adapt(MODEL, MODEL.fast_weights(THETA), BATCH.x_support, BATCH.y_support, inner_lr=0.1),
    "here": HERE,
    "along": HERE.along(THETA),
    "meta-gradient": meta_gradient(MODEL, MODEL.fast_weights(THETA), BATCH, inner_lr=0.1, steps=2),
    "first-order": meta_gradient(MODEL, THETA, BATCH, inner_lr=0.1, first_order=True),
    "pre-training": pretraining_gradient(MODEL, THETA, BATCH),
    "batch": BATCH,
    "sinusoids": tasks.Sinusoids(),
    "batch of sinusoids": tasks.Sinusoids().sample(RNG, tasks=2),
    "planes": tasks.Planes(seed=3),
    "glyphs": tasks.Glyphs(size=8),
    "episodes of an array": tasks.Episodes(np.ones((6, 5, 4)), ways=3),
    "episodes of planes": tasks.Episodes(tasks.Planes(), ways=3),
    "curve": evaluate(MODEL, THETA, BATCH, inner_lr=0.1, steps=2),
    "measures": (LOSS, ACCURACY),
    "settings": settings_for("planes", steps=3),
    "optimisers": (ADAM, SGD(0.1)),
    "state": begin(THETA, ADAM, RNG),
    "problem": Problem(),
    "derivation": Derivation(MLP([2, 2, 1], "tanh"), MLP([2, 2, 1]).init(RNG), np.ones((3, 2)), np.ones((3, 1))),
    "meta-derivation": MetaDerivation(Problem().model, Problem().theta, Problem().batch, inner_lr=0.1),
}


def parts(thing) -> object:
    """What a thing is made of, as far as it can be compared with ==."""
    if isinstance(thing, np.ndarray):
        return thing.shape, str(thing.dtype), thing.tobytes()
    if isinstance(thing, Parameters | dict):
        return type(thing).__name__, [(name, parts(value)) for name, value in thing.items()]
    if isinstance(thing, tuple | list):
        return [parts(each) for each in thing]
    if isinstance(thing, Factored):
        return "Factored", parts(thing.dense())
    if is_dataclass(thing):
        return type(thing).__name__, [parts(getattr(thing, field.name)) for field in fields(thing)]
    if type(thing).__name__ in ("Surface", "RSurface"):
        return [parts(thing.quantities), parts(thing.gradient if hasattr(thing, "gradient") else thing.hvp)]
    if type(thing).__name__.endswith("Derivation"):
        return [parts(thing.reference(name)) for name in thing.names]
    return thing


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", THINGS)
def test_it_comes_back_equal(name, way):
    assert parts(WAYS[way](THINGS[name])) == parts(THINGS[name])


@pytest.mark.parametrize("way", WAYS)
def test_it_can_be_used_as_before(way):
    again = WAYS[way]
    model, theta, batch = again((MODEL, THETA, BATCH))
    assert parts(meta_gradient(model, theta, batch, inner_lr=0.1)) == parts(meta_gradient(MODEL, THETA, BATCH, inner_lr=0.1))
    assert parts(again(HERE).hvp(THETA)) == parts(HERE.hvp(THETA))
    one, other = (np.random.default_rng(5) for _ in range(2))
    for source in (tasks.Sinusoids(), tasks.Episodes(tasks.Planes(seed=2))):
        assert parts(again(source).sample(one, tasks=2).x_query) == parts(source.sample(other, tasks=2).x_query)


@pytest.mark.parametrize("way", WAYS)
def test_what_goes_wrong_in_another_process_is_told_in_this_one(way):
    with pytest.raises(WrongAnswer) as caught:
        compare("x", np.ones(3), 2 * np.ones(3), diagnosis=lambda closeness: "it is a half")
    for error in (Diverged(3, "the loss is nan"), ModelRejected("no", {"hvp": "wrong"}), caught.value):
        back = WAYS[way](error)
        assert (type(back), str(back)) == (type(error), str(error))
        assert {k: v for k, v in vars(back).items() if k[0] != "_"} == {k: v for k, v in vars(error).items() if k[0] != "_"}
