"""How far a run is: a line now and then where there is no terminal, a bar where there is one, nothing when not asked."""

import sys

import pytest

from tinymaml.training import progress as module
from tinymaml.training.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until it is moved."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def told(capsys):
    captured = capsys.readouterr()
    assert captured.out == "" and "\r" not in captured.err
    return captured.err.splitlines()


def test_a_log_gets_a_line_at_every_tenth_and_no_carriage_return(capsys, clock):
    shown = progress("MAML", 1000, 0)
    for _ in range(1000):
        clock[0] += 0.02
        shown.update()
    shown.close()
    lines = told(capsys)
    assert len(lines) == 10
    assert lines[0] == "MAML: 100 of 1,000 iterations, 2 s" and lines[-1] == "MAML: 1,000 of 1,000 iterations, 20 s"


def test_a_slow_run_says_more_and_a_fast_one_only_its_end(capsys, clock):
    slow = progress("slow", 100, 0)
    for _ in range(10):
        clock[0] += 10
        slow.update()
    assert [line.split()[1] for line in told(capsys)] == ["3", "6", "9", "10"]  # the tenth iteration is a tenth of the run
    fast = progress("fast", 50, 40)
    fast.set_postfix({"meta-loss": "1.500"})
    for _ in range(10):
        fast.update()
    assert told(capsys) == ["fast: 50 of 50 iterations, 0 s, meta-loss 1.500"]


def test_a_terminal_gets_a_bar_and_without_a_label_nothing_is_said(capsys, monkeypatch):
    quiet = progress(None, 10, 0)
    for _ in range(10):
        quiet.update()
    quiet.close()
    assert told(capsys) == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = progress("MAML", 10, 3)
    bar.update()
    bar.close()
    assert "MAML" in capsys.readouterr().err and bar.n == 4


def test_that_a_kernel_could_be_started_makes_no_notebook(capsys, clock):
    import ipykernel  # as other tests do

    assert ipykernel
    progress("MAML", 1, 0).update()
    assert told(capsys) == ["MAML: 1 of 1 iterations, 0 s"]
