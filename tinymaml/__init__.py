"""tinymaml: Model-Agnostic Meta-Learning in NumPy, with every derivative by hand."""

import numpy as np

from tinymaml.maml import adapt, meta_gradient
from tinymaml.mlp import MLP
from tinymaml.parameters import Parameters

__all__ = ["MLP", "Parameters", "adapt", "meta_gradient"]
__version__ = "0.1.0"

# A C library that gives freed arrays back to the system pays for fresh pages at every step of an inner loop. Freeing one
# large array teaches the allocator of Linux (glibc's dynamic threshold, see mallopt(3)) to keep them; elsewhere it is idle.
np.empty(31 * 2**20, np.uint8)
