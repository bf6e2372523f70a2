"""Distributions over tasks, one family per file, listed in `FAMILIES`; a `TaskBatch` is the data of one outer step."""

from tinymaml import validate
from tinymaml.tasks import glyphs, navigation, omniglot, planes, sequences, sinusoids
from tinymaml.tasks.batch import TaskBatch, with_task_params
from tinymaml.tasks.episodes import Episodes, nearest_neighbour, pool, split
from tinymaml.tasks.family import Family
from tinymaml.tasks.glyphs import Glyphs
from tinymaml.tasks.navigation import Goal, Navigation
from tinymaml.tasks.planes import Planes
from tinymaml.tasks.sequences import Filter, Filters
from tinymaml.tasks.sinusoids import Sinusoid, Sinusoids, task_blind

__all__ = [
    "FAMILIES", "Episodes", "Family", "Filter", "Filters", "Glyphs", "Goal", "Navigation", "Planes", "Sinusoid", "Sinusoids",
    "TaskBatch", "named", "nearest_neighbour", "pool", "split", "task_blind", "with_task_params",
]  # fmt: skip

# the first one is the default
FAMILIES = (sinusoids.FAMILY, planes.FAMILY, sequences.FAMILY, navigation.FAMILY, glyphs.FAMILY, omniglot.FAMILY)


def named(name: str) -> Family:
    """The family with this name; ValueError, which lists all names, for an unknown one."""
    return validate.named("family", name, FAMILIES)
