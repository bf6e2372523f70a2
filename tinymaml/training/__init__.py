"""The outer loop, its optimisers, and evaluation after adaptation."""

from tinymaml.training.evaluation import evaluate
from tinymaml.training.loop import train
from tinymaml.training.optimizers import SGD, Adam

__all__ = ["SGD", "Adam", "evaluate", "train"]
