"""A contest: the same meta-gradient by several libraries, first compared, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from workers import Worker

from tinymaml.experiment.bench import medians


class Contest:
    """A worker for each library and number of threads; `absent` says which libraries are left out, and why.

    libraries: {contestant: the library it runs on}; those of `others` are timed beside them and compared with nobody.
    made(name, load): the call that is timed, made in a worker.
    """

    def __init__(
        self, libraries: Mapping[str, str], made: Callable, threads: Sequence[int], rounds: int, seconds: float,
        others: Mapping[str, str] | None = None,
    ):  # fmt: skip
        self.contestants, self.libraries = list(libraries), {**libraries, **(others or {})}
        self.made, self.threads, self.rounds, self.seconds = made, threads, rounds, seconds
        self.absent = {}
        self.workers = {(library, n): Worker(n, made) for library in dict.fromkeys(libraries.values()) for n in threads}

    @property
    def present(self) -> list[str]:
        """The contestants whose libraries are installed, as far as one has been asked."""
        return [name for name in self.contestants if self.libraries[name] not in self.absent]

    def prepared(self, name: str, load: object) -> Iterator[tuple[int, object, partial]]:
        """For each number of threads: what `prepare` answered, and the turn to take; nothing if the library is absent."""
        library = self.libraries[name]
        for count in self.threads:
            if library in self.absent:
                return
            worker = self.workers[library, count]
            try:
                yield count, worker.ask("prepare", name, load), partial(worker.ask, "take_turn", name)
            except ImportError as missing:
                self.absent[library] = str(missing)

    def agreeing(self, load: object, allowed: float) -> dict[tuple[str, int], partial]:
        """The turns of all contestants, {(name, threads): turn}, who have given the same gradient; SystemExit if one has not.

        allowed: the largest difference from the first contestant's gradient, relative, in the norm.
        """
        turns, mine = {}, None
        for name in self.contestants:
            for count, gradient, take in self.prepared(name, load):
                mine = gradient if mine is None else mine
                difference = np.linalg.norm(gradient - mine) / np.linalg.norm(mine)
                if not difference <= allowed:
                    raise SystemExit(f"{name} and {self.contestants[0]} differ by {difference:.1e} on the gradient of {load}")
                turns[name, count] = take
        return turns

    def turns(self, names: Iterable[str], load: object) -> dict[tuple[str, int], partial]:
        """The turns of others, whose answers are not looked at."""
        return {(name, count): take for name in names for count, _, take in self.prepared(name, load)}

    def timed(self, turns: Mapping[tuple[str, int], partial]) -> dict[str, dict[str, float]]:
        """The median seconds of each: {name: {threads: seconds}}, threads as strings for JSON."""
        nested = {}
        for (name, count), seconds in medians(turns, rounds=self.rounds, seconds=self.seconds).items():
            nested.setdefault(name, {})[str(count)] = seconds
        return nested

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()
