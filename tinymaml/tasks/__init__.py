"""Where tasks come from: a task is a datum, and a batch of them is what one meta-update sees."""

from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.episodes import Episodes, pool, split
from tinymaml.tasks.glyphs import Glyphs
from tinymaml.tasks.planes import Planes
from tinymaml.tasks.sinusoids import Sinusoid, Sinusoids

__all__ = ["Episodes", "Glyphs", "Planes", "Sinusoid", "Sinusoids", "TaskBatch", "pool", "split"]
