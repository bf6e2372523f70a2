"""tinymaml: Model-Agnostic Meta-Learning in NumPy, with every derivative by hand."""

from tinymaml.maml import adapt, meta_gradient
from tinymaml.methods.pretraining import pretraining_gradient
from tinymaml.models import MLP
from tinymaml.parameters import Parameters

__all__ = ["MLP", "Parameters", "adapt", "meta_gradient", "pretraining_gradient"]
__version__ = "0.1.0"
