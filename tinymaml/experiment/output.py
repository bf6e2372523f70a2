"""Standard output and error that never cost a result: what cannot be written there is dropped."""

from __future__ import annotations

import io
import os
import sys
import time


class Lenient(io.FileIO):
    """A stream whose reader may leave, or whose disk may be full; `lost` is what went wrong, other than a reader that left."""

    lost: OSError | None = None

    def write(self, data) -> int:
        try:
            while (written := super().write(data)) is None:  # a pipe that is full and does not wait by itself
                time.sleep(0.01)
            return written
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error
            return len(data)


def lenient() -> None:
    """Make both so. One that is closed leads nowhere: its number must not go to a file that is opened later."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(file := os.open(os.devnull, os.O_RDWR), number)
            if file != number:
                os.close(file)
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        if old is not None:
            try:
                old.flush()
                same = old.fileno() == number
            except (OSError, ValueError):
                same = False
            if not same:
                continue
        raw = Lenient(number, "w", closefd=False)
        options = {"encoding": old.encoding if old else "utf-8", "errors": "backslashreplace"}  # a name may be in any letters
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), **options, line_buffering=name == "stderr" or raw.isatty()))


def lost() -> OSError | None:
    """What was lost of standard output, all of it being written now."""
    sys.stdout.flush()
    return getattr(getattr(sys.stdout.buffer, "raw", None), "lost", None)
