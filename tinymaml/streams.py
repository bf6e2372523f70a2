"""Random numbers for every purpose of a run, none of which can disturb another."""

from __future__ import annotations

import numpy as np

PURPOSES = ("initialisation", "training tasks", "testing tasks", "classes")


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose: the same seed gives every method the same tasks."""
    return np.random.default_rng([seed, PURPOSES.index(purpose)])
