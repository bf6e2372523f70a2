"""`python -m tinymaml`, and the program `tinymaml`: signals and streams are made ready before NumPy is imported."""

from __future__ import annotations

import sys

from tinymaml.experiment import output, signals


def program() -> int:
    """Run the command line as a process of its own and return its exit status."""
    signals.handle(signals.leave)
    output.lenient()
    from tinymaml.experiment.cli import main

    try:
        signals.handle(signals.interrupt)
        status = main()
    except KeyboardInterrupt as stop:  # once more, while the first was being told
        status = signals.status(stop)
    signals.handle(signals.signal.SIG_IGN)  # all is done but to leave
    if error := output.lost():
        print(f"tinymaml: not all of the output could be written ({error.strerror})", file=sys.stderr)
        return status or 1
    return status


if __name__ == "__main__":
    raise SystemExit(program())
