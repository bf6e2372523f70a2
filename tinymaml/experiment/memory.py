"""The memory of this machine, and the error for a run that needs more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def fit(needs: Mapping[str, int]) -> None:
    """ValueError if the sum of `needs`, {option that lowers it: bytes}, exceeds the memory of this machine."""
    total, free = sum(needs.values()), available()
    if free is not None and total > free:
        needed, there = (f"{size // 10**8 / 10:,.1f} GB" for size in (min(total, 10**18), free))
        lower = max(needs, key=needs.__getitem__)
        raise ValueError(f"this needs at least {needed} of memory and this machine has about {there}: lower {lower}")


def available() -> int | None:
    """The bytes that this process can still allocate: the smallest known limit, or None if no limit is known."""
    limits = []
    with suppress(OSError, ValueError, KeyError):  # Linux: free memory and swap
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(1024 * sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree")))
    with suppress(OSError, ValueError):  # a container; "max" is no limit
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with suppress(ImportError):  # `ulimit -v`; Windows has neither
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [limit] * (limit != resource.RLIM_INFINITY)
    with suppress(AttributeError, ValueError, OSError):  # macOS: installed memory
        limits += [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] * (not limits)
    return min(limits, default=None)
