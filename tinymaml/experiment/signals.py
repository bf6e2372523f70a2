"""Ctrl-C, SIGTERM, and a terminal that is closed: each ends a program with its run saved, and never in the middle of saving."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last is what Windows has for the one before
STOPS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """Another signal than Ctrl-C's, which ends a run as that does."""


def status(stop: KeyboardInterrupt) -> int:
    """The exit status of a program that was stopped so, as a shell counts: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (stop.args[0] if isinstance(stop, Terminated) else signal.SIGINT)


def handle(handler: Any) -> None:
    """Have all handled so, but for one that whoever started this process has it ignore."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt(number: int, frame: Any) -> None:
    """Once something has: an exception, so that it can be saved. Whoever asks again has to wait for that."""
    handle(signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that stop a program wait until this is over; then they do what they would have done."""
    if threading.current_thread() is not threading.main_thread():  # no signal reaches another
        yield
        return
    came: list[int] = []
    before: dict[int, Callable | int | None] = {}
    try:
        for number in STOPS:
            before[number] = signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in came[:1]:
            signal.raise_signal(number)
