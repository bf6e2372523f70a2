"""How far a run is: a bar in a terminal or a notebook, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm.auto import tqdm

LONG, SHORT = 30.0, 1.0  # seconds: a line is due after the one, and at every tenth of the run after the other


def progress(label: str | None, total: int, done: int) -> Any:
    """What is told of every iteration by `update()`, and of the loss by `set_postfix`; nothing is shown without a label."""
    if label is not None and not sys.stderr.isatty() and not _in_a_notebook():
        return Lines(label, total, done)
    return tqdm(total=total, initial=done, desc=label, disable=label is None, dynamic_ncols=True)


def _in_a_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # whoever has not imported it is no notebook
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config


class Lines:
    """The part of a tqdm bar that training uses, as lines on standard error: about ten in a run, more if it is long."""

    def __init__(self, label: str, total: int, done: int):
        self.label, self.total, self.done, self.facts = label, total, done, ""
        self.began = self.last = time.monotonic()

    def update(self) -> None:
        """One more iteration is done."""
        self.done += 1
        now = time.monotonic()
        tenth = self.done * 10 // self.total > (self.done - 1) * 10 // self.total
        if self.done == self.total or now - self.last >= (SHORT if tenth else LONG):
            line = f"{self.label}: {self.done:,} of {self.total:,} iterations, {now - self.began:.0f} s{self.facts}"
            print(line, file=sys.stderr, flush=True)
            self.last = now

    def set_postfix(self, facts: dict[str, str], refresh: bool = True) -> None:
        """What the next lines say besides."""
        self.facts = "".join(f", {name} {value}" for name, value in facts.items())

    def close(self) -> None:
        """The run is over; there is nothing to clear away."""
