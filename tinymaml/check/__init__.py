"""Checks of derivatives: a derivation line by line, a whole model, the meta-gradient, and numerical derivatives."""

from tinymaml.check.battery import ModelRejected, check_model
from tinymaml.check.compare import Line, WrongAnswer, compare, relative_error
from tinymaml.check.derivation import Derivation
from tinymaml.check.derivatives import (
    adaptive_difference,
    central_difference,
    complex_step,
    complex_step_gradient,
    gradient_by_entries,
)
from tinymaml.check.equations import check_equation
from tinymaml.check.meta_derivation import MetaDerivation
from tinymaml.check.problem import Problem
from tinymaml.check.references import loss_gradient, meta_gradient_by_complex_step

__all__ = [
    "Derivation",
    "Line",
    "MetaDerivation",
    "ModelRejected",
    "Problem",
    "WrongAnswer",
    "adaptive_difference",
    "central_difference",
    "check_equation",
    "check_model",
    "compare",
    "complex_step",
    "complex_step_gradient",
    "gradient_by_entries",
    "loss_gradient",
    "meta_gradient_by_complex_step",
    "relative_error",
]
