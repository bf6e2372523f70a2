"""Where tasks come from: a task is a datum, and a batch of them is what one meta-update sees.

One file is one family of tasks, and `FAMILIES` lists them.
"""

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

# the first is taken when none is asked
FAMILIES = (sinusoids.FAMILY, planes.FAMILY, sequences.FAMILY, navigation.FAMILY, glyphs.FAMILY, omniglot.FAMILY)


def named(name: str) -> Family:
    """The family of this name; ValueError with all names if there is none."""
    return validate.named("family", name, FAMILIES)
