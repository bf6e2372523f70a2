"""The soak: a failure is reported with the command that reproduces it, and the exit status is 1."""

import pytest
import soak


def failing(seed):
    assert seed % 3, "on purpose"


@pytest.fixture
def quick_parts(monkeypatch):
    monkeypatch.setattr(soak, "properties", lambda seed: (7, []))
    monkeypatch.setattr(soak, "PARTS", {"mlp": soak.PARTS["mlp"], "equations": soak.PARTS["equations"]})


def test_a_pass_ends_in_one_line_for_each_part_and_status_0(quick_parts, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["soak.py", "--minutes", "0.02", "--seed", "3"])
    assert soak.main() == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == ["properties", "mlp", "equations"]
    assert all(line.endswith(" 0 failed") and int(line.split()[1]) > 0 for line in lines)


def test_a_failure_is_reported_with_its_command_and_status_1(quick_parts, monkeypatch, capsys):
    monkeypatch.setitem(soak.PARTS, "mlp", failing)
    monkeypatch.setattr("sys.argv", ["soak.py", "--minutes", "0.001"])
    assert soak.main() == 1
    out = capsys.readouterr().out
    command = next(line for line in out.splitlines() if line.startswith("python "))
    draw = command.removeprefix("python tests/soak.py --part 'mlp' --draw ")
    monkeypatch.setattr("sys.argv", ["soak.py", "--part", "mlp", "--draw", draw])
    with pytest.raises(AssertionError, match="on purpose"):
        soak.main()
