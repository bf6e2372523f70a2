"""Ctrl-C and SIGTERM: either ends a program with its run saved, and never in the middle of saving."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


def handle(handler: Any) -> None:
    """Have both handled so, but for one that whoever started this process has it ignore."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def leave(number: int, frame: Any) -> None:
    """While nothing has begun: end at once."""
    with suppress(OSError):
        os.write(2, b"tinymaml: stopped before anything was begun\n")
    os._exit(128 + number)


def interrupt(number: int, frame: Any) -> None:
    """Once something has: an exception, so that it can be saved. Whoever asks again has to wait for that."""
    handle(signal.SIG_IGN)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this is over; then they do what they would have done."""
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
