"""tinymaml: Model-Agnostic Meta-Learning in NumPy, with every derivative by hand."""

__all__ = ["MLP", "Parameters", "adapt", "meta_gradient", "pretraining_gradient"]
__version__ = "0.1.0"


def __getattr__(name: str):
    """The public names, and NumPy with them, when they are first asked for: the command line is ready for Ctrl-C before."""
    if name not in __all__:
        raise AttributeError(f"module 'tinymaml' has no attribute {name!r}")
    from tinymaml.maml import adapt, meta_gradient
    from tinymaml.methods.pretraining import pretraining_gradient
    from tinymaml.nn.models import MLP
    from tinymaml.parameters import Parameters

    globals().update(zip(__all__, (MLP, Parameters, adapt, meta_gradient, pretraining_gradient), strict=True))
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
