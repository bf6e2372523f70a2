"""Where tasks come from: a task is a datum, and a batch of them is what one meta-update sees."""

from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.sinusoids import Sinusoid, Sinusoids

__all__ = ["Sinusoid", "Sinusoids", "TaskBatch"]
