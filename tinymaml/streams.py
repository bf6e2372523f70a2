"""Random numbers for every purpose of a run, none of which can disturb another."""

from __future__ import annotations

import numpy as np

PURPOSES = ("initialisation", "training tasks", "testing tasks", "classes", "perturbations")


def stream(seed: int, purpose: str, *iteration: int) -> np.random.Generator:
    """The generator of one purpose, or of one iteration of it: the same seed gives every method the same tasks."""
    return np.random.default_rng([seed, PURPOSES.index(purpose), *iteration])
