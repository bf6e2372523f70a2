"""The memory that a run needs, multiplied out from its settings before any of it is asked for.

Every number here is a bound from below, so that nothing is refused which would have run.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml.training.evaluation import chunk_size, width

THETAS = 6  # theta, its gradient, Adam's two moments, and what one step of Adam makes of them
FORMED = 3  # of every adapted copy: the copy, its gradient, and what comes back through it
NUMBERS = "--tasks, --shots, --queries or --width"


@dataclass(frozen=True)
class Extent:
    """The size of a batch: the rows of all its support sets, of all its query sets, and the bytes of its arrays."""

    support: int
    query: int
    bytes: int


def extent(draw: Callable[[int, int], Any], tasks: int, shots: int, queries: int) -> Extent:
    """The size of a batch that is not drawn: draw(shots, queries) is one of one task, and sizes grow in step with each."""

    def measured(shots: int, queries: int) -> tuple[int, int, int]:
        batch = draw(shots, queries)
        arrays = (batch.x_support, batch.y_support, batch.x_query, batch.y_query)
        return math.prod(arrays[0].shape[:2]), math.prod(arrays[2].shape[:2]), sum(array.nbytes for array in arrays)

    one, shot, query = measured(1, 1), measured(2, 1), measured(1, 2)
    sizes = (a + (shots - 1) * (b - a) + (queries - 1) * (c - a) for a, b, c in zip(one, shot, query, strict=True))
    return Extent(*(tasks * size for size in sizes))


def training(network: Any, batch: Extent, tasks: int, dtype: str, copies: int) -> dict[str, int]:
    """The bytes of one iteration, by what lowers them. copies: of theta, adapted ones that a task keeps at once."""
    size, kept = np.dtype(dtype).itemsize, max(1, copies)
    rows = kept * batch.support + batch.query
    formed = tasks * copies * FORMED * _formed(network, kept * batch.support // tasks)
    more = NUMBERS.replace(" or", ", --steps or") if copies > 1 else NUMBERS
    return {more: batch.bytes + size * (2 * rows * width(network) + formed)}


def thetas(network: Any, dtype: str) -> int:
    """The bytes of theta and of what trains it."""
    return THETAS * np.dtype(dtype).itemsize * sum(map(math.prod, network.shapes.values()))


def judging(network: Any, batch: Extent, tasks: int, dtype: str) -> dict[str, int]:
    """The bytes of new tasks and of adapting some of them at a time, by what lowers them."""
    rows = max(batch.support, batch.query) // tasks
    rows *= min(tasks, chunk_size(network, rows, dtype))
    return {"--tasks or --shots": batch.bytes + np.dtype(dtype).itemsize * rows * width(network)}


def fit(needs: Mapping[str, int]) -> None:
    """ValueError if there is less memory than `needs`, bytes by what lowers them."""
    total, there = sum(needs.values()), available()
    if there is not None and total > there:
        worst = max(needs, key=lambda name: needs[name])
        raise ValueError(f"this needs {_told(total)} of memory and this machine has {_told(there)}: lower {worst}")


def available() -> int | None:
    """The bytes that a process can still get here, None where nobody says."""
    found = [_free() or _installed(), _cgroup(), _limit()]
    return min((each for each in found if each is not None), default=None)


def _free() -> int | None:
    """Linux: what is free or can be freed, and the swap."""
    try:
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return sum(int(facts[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _installed() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _cgroup() -> int | None:
    """What a container may use."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # none, or "max"
        return None


def _limit() -> int | None:
    """What the shell allows a process, `ulimit -v`."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _formed(network: Any, rows: int) -> int:
    """The numbers of one adapted copy, but for the matrices that are smaller as factors of so many rows (eq. 14)."""
    factored = lambda shape: len(shape) == 2 and rows * sum(shape) < math.prod(shape)
    return sum(math.prod(shape) for shape in network.shapes.values() if not factored(shape))


def _told(size: int) -> str:
    return f"about {size / 1e9:,.1f} GB" if size < 10**18 else "more than 1,000,000,000 GB"
