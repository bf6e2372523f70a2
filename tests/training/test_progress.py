"""Progress: a line now and then in a log, a bar in a terminal, nothing without a label."""

import sys
import threading

from tinymaml.training.loop import _progress_bar


def printed(capsys):
    captured = capsys.readouterr()
    assert captured.out == "" and "\r" not in captured.err
    return captured.err.splitlines()


def test_a_log_gets_a_line_now_and_then_and_no_carriage_return(capsys):
    clock, threads = [0.0], threading.active_count()
    bar = _progress_bar("MAML", 1000, 0)
    bar._time = lambda: clock[0]
    bar.start_t = bar.last_print_t = 0.0
    for _ in range(1000):
        clock[0] += 0.125
        bar.set_postfix({"meta-loss": "1.500"}, refresh=False)
        bar.update()
    bar.close()
    lines = printed(capsys)
    assert [line.split()[1] for line in lines] == ["0", "240", "480", "720", "960", "1000"]
    assert lines[-1] == "MAML: 1000 of 1000 iterations, 02:05, meta-loss=1.500"
    assert threading.active_count() == threads


def test_a_terminal_gets_a_bar_and_without_a_label_nothing_is_printed(capsys, monkeypatch):
    quiet = _progress_bar(None, 10, 0)
    for _ in range(10):
        quiet.update()
    quiet.close()
    assert printed(capsys) == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = _progress_bar("MAML", 10, 3)
    bar.update()
    bar.close()
    assert "MAML" in capsys.readouterr().err and bar.n == 4


def test_an_imported_kernel_makes_no_notebook(capsys):
    import ipykernel

    assert ipykernel
    bar = _progress_bar("MAML", 1, 0)
    bar.update()
    bar.close()
    assert printed(capsys)[-1].startswith("MAML: 1 of 1 iterations")
