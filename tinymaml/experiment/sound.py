"""Whether the parts of a checkpoint can be what a run has left there; ValueError names the first part that cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters
from tinymaml.training.loop import TrainingState


def assembled(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TrainingState:
    """The state, once every part is known to be whole in itself."""
    groups: dict[str, dict[str, np.ndarray]] = {"theta": {}, "optimizer": {}, "losses": {}}
    for name, array in arrays.items():
        group, _, own = name.partition("/")
        if group not in groups or (group == "losses") == bool(own) or not name.isprintable() or len(name) > 99:
            raise ValueError(f"it holds {validate.brief(name)}, which no run writes")
        groups[group][own] = _numbers(f"{group} {own}".strip(), array)
    iteration, losses = facts.get("iteration"), groups["losses"].get("")
    if type(iteration) is not int or iteration < 0:
        raise ValueError(f"its iteration is {validate.brief(iteration)}, expected a whole number")
    if losses is None or losses.shape != (iteration,) or losses.dtype != np.float64:
        raise ValueError(f"losses are {_told(losses)}, expected one float64 for each of {iteration} iterations")
    for name, array in groups["theta"].items():
        if array.dtype not in validate.PRECISIONS:
            raise ValueError(f"theta {name} is {_told(array)}, expected float32 or float64")
    if not groups["theta"]:
        raise ValueError("it holds no theta")
    seconds = facts.get("seconds", 0.0)  # earlier versions have not counted them
    if type(seconds) is not float or not 0 <= seconds < np.inf:
        raise ValueError(f"its seconds are {validate.brief(seconds)}, expected a finite number of zero or above")
    generator = _generator(facts.get("generator"))
    return TrainingState(iteration, Parameters(groups["theta"]), groups["optimizer"], generator, losses, seconds)


def agreeing(state: TrainingState, theta: Parameters, optimizer: Any) -> TrainingState:
    """The state, once theta and the optimiser's arrays are those of a run that began with `theta`, in the order of its names."""
    if missing := theta.keys() ^ state.theta.keys():
        raise ValueError(f"it is of another architecture: theta has {', '.join(state.theta)}, which differs in {min(missing)}")
    for name, array in theta.items():
        if state.theta[name].shape != array.shape:
            got, wanted = state.theta[name].shape, array.shape
            raise ValueError(f"it is of another architecture: theta {name} has shape {got}, and its settings say {wanted}")
        if state.theta[name].dtype != array.dtype:
            raise ValueError(f"theta {name} is {state.theta[name].dtype}, and its settings say {array.dtype}")
    begun = optimizer.start(theta)
    if begun.keys() != state.optimizer.keys():
        raise ValueError(f"the optimizer has {', '.join(state.optimizer) or 'no arrays'}, expected {', '.join(begun)}")
    for name, array in begun.items():
        got = state.optimizer[name]
        alike = got.dtype == array.dtype or got.dtype.kind == array.dtype.kind == "i"  # a count may be int32 on Windows
        if got.shape != array.shape or not alike:
            raise ValueError(f"optimizer {name} is {_told(got)}, expected {_told(array)}")
    if "t" in begun and state.optimizer["t"] != state.iteration:
        raise ValueError(f"the optimizer has done {state.optimizer['t']} steps in {state.iteration} iterations")
    if "v" in begun and (state.optimizer["v"] < 0).any():
        raise ValueError("optimizer v, a mean of squares, has values below zero")
    in_order = Parameters({name: state.theta[name] for name in theta})  # in which the optimiser's vectors are
    return replace(state, theta=in_order)


def _numbers(what: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "if":
        raise ValueError(f"{what} is {_told(array)}, expected numbers")
    if bad := array.size - np.count_nonzero(np.isfinite(array)):
        raise ValueError(f"{what} holds {bad} values that are NaN or infinite out of {array.size}")
    return array


def _generator(stored: Any) -> dict[str, Any]:
    """The state of the stream of tasks, as NumPy takes it and gives it back."""
    bits = np.random.default_rng().bit_generator
    try:
        bits.state = stored
        possible = stored["has_uint32"] in (0, 1) and stored["state"]["inc"] % 2 == 1  # NumPy takes others, but makes none
        if possible and json.dumps(bits.state, sort_keys=True) == json.dumps(stored, sort_keys=True):
            return bits.state
    except Exception:  # KeyError, TypeError, ValueError, OverflowError, and whatever another version may raise
        pass
    raise ValueError("the state of its generator is none that NumPy accepts")


def _told(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{array.dtype} of shape {array.shape}"
