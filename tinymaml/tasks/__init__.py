"""Distributions over tasks, one family per file, listed in `FAMILIES`; a `TaskBatch` is the data of one outer step.

To add a family, write such a file, import it below and list `lines.FAMILY` in `FAMILIES`; then `compare lines` works:

    # tinymaml/tasks/lines.py
    from tinymaml.tasks.batch import TaskBatch
    from tinymaml.tasks.family import Family, ModelSpec
    from tinymaml.training.evaluation import Metric, loss

    class Lines:  # y = w x with w ~ U[-2, 2]
        def sample(self, rng, *, tasks, shots, queries, dtype="float64"):
            x = rng.uniform(-1, 1, (tasks, shots + queries, 1)).astype(dtype)
            y = x * rng.uniform(-2, 2, (tasks, 1, 1)).astype(dtype)
            return TaskBatch(x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:])

    FAMILY = Family(
        "lines", "regression of lines of unknown slope", title=lambda settings: f"{settings.shots}-shot lines",
        sizes=lambda settings: ModelSpec(inputs=1, outputs=1, loss="squared_error"),
        metric=Metric("mean squared error", loss), figures={}, test_tasks=1000, test_queries=100,
        training=lambda settings: Lines(), testing=lambda settings: Lines(),
    )
"""

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
