"""Distributions over tasks. One file is one family, and `FAMILIES` lists them; a `TaskBatch` is the data of a meta-update."""

from tinymaml import validate
from tinymaml.tasks import glyphs, navigation, omniglot, planes, sequences, sinusoids
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.episodes import Episodes, nearest_neighbour, pool, split
from tinymaml.tasks.family import Family
from tinymaml.tasks.glyphs import Glyphs
from tinymaml.tasks.navigation import Goal, Navigation
from tinymaml.tasks.planes import Planes
from tinymaml.tasks.sequences import Filter, Filters
from tinymaml.tasks.sinusoids import Sinusoid, Sinusoids, task_blind, with_task_params

__all__ = [
    "FAMILIES", "Episodes", "Family", "Filter", "Filters", "Glyphs", "Goal", "Navigation", "Planes", "Sinusoid", "Sinusoids",
    "TaskBatch", "named", "nearest_neighbour", "pool", "split", "task_blind", "with_task_params",
]  # fmt: skip

# the first is the default
FAMILIES = (sinusoids.FAMILY, planes.FAMILY, sequences.FAMILY, navigation.FAMILY, glyphs.FAMILY, omniglot.FAMILY)


def named(name: str) -> Family:
    """The family of this name; ValueError with all names if there is none."""
    return validate.named("family", name, FAMILIES)
