"""`python -m tinymaml`, and the program `tinymaml`."""

from __future__ import annotations

import sys

from tinymaml.experiment import output, signals
from tinymaml.experiment.cli import main


def program() -> int:
    """Run the command line as a process of its own and return its exit status."""
    output.lenient()
    try:
        signals.handle(signals.interrupt)
        status = main()
    except KeyboardInterrupt as stop:  # a second one, during the message about the first
        status = signals.status(stop)
    signals.handle(signals.signal.SIG_IGN)  # nothing is left to save
    if error := output.lost():
        print(f"tinymaml: not all of the output could be written ({error.strerror})", file=sys.stderr)
        return status or 1
    return status


if __name__ == "__main__":
    raise SystemExit(program())
