"""The command line as a user types it: what it writes, what it says to nonsense, and that nothing is lost."""

import json
import os
import re
import subprocess
import sys

import pytest

from tinymaml import methods, tasks
from tinymaml.experiment import checkpoint, terminal
from tinymaml.experiment.cli import main
from tinymaml.experiment.options import options_of

STEPPING = ", ".join(method.name for method in methods.METHODS if "steps" in options_of(method))
TINY = ["--width", "5", "--tasks", "3", "--shots", "2", "--queries", "2", "--quiet"]


def refused(capsys, argv, *words):
    """One sentence on standard error, status 2."""
    try:
        status = main(argv)
    except SystemExit as exit:  # argparse's own
        status = exit.code
    said = capsys.readouterr().err.splitlines()
    assert status == 2 and len(said) == 1 and len(said[0]) < 1500
    for word in words:
        assert word in said[0]
    return said[0]


def test_compare_writes_a_table_figures_and_every_number(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--iterations", "20", "--quiet"]) == 0
    printed = capsys.readouterr().out
    for row in ("MAML", "first-order MAML", "pre-trained", "from scratch", "oracle", "task-blind optimum", "paper"):
        assert row in printed
    folder = tmp_path / "runs" / "compare-sinusoids-1"
    assert str(folder.relative_to(tmp_path)) in printed
    for figure in ("fits.png", "steps.png", "training.png"):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
    results = json.loads((folder / "results.json").read_text())
    assert results["settings"]["iterations"] == 20 and results["settings"]["hidden"] == [40, 40]
    assert results["settings"]["options"]["maml"] == {"steps": 1} and results["settings"]["options"]["oracle"] == {}
    assert set(results["methods"]) == {"maml", "first-order", "pretraining", "scratch", "oracle", "task-blind"}
    assert len(results["methods"]["maml"]["mean"]) == 11
    shown = float(re.search(r"task-blind optimum +(\d\.\d\d)", printed)[1])
    assert shown == pytest.approx(results["methods"]["task-blind"]["mean"][0], abs=0.005)
    # the same command again takes a new folder
    assert main(["compare", "--iterations", "1", *TINY]) == 0
    assert (tmp_path / "runs" / "compare-sinusoids-2").is_dir()


def test_compare_resumes_to_the_same_numbers(tmp_path, capsys):
    common = ["compare", *TINY]
    assert main([*common, "--iterations", "20", "--out", str(tmp_path / "whole")]) == 0
    assert main([*common, "--iterations", "7", "--out", str(tmp_path / "parts")]) == 0
    assert main([*common, "--iterations", "20", "--out", str(tmp_path / "parts"), "--resume"]) == 0
    whole, parts = (json.loads((tmp_path / name / "results.json").read_text())["methods"] for name in ("whole", "parts"))
    assert whole == parts


@pytest.mark.parametrize("family", ["planes", "glyphs"])
def test_classes_are_compared_at_one_and_at_five_shots(tmp_path, capsys, family):
    small = ["--iterations", "3", "--width", "5", "--tasks", "3", "--queries", "2", "--classes", "10"]
    assert main(["compare", family, *small, "--quiet", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for row in (f"5-way 1-shot {family}", f"5-way 5-shot {family}", "MAML", "transfer, new head", "nearest neighbour", "chance"):
        assert row in printed
    for shots in ("1-shot", "5-shot"):
        results = json.loads((tmp_path / shots / "results.json").read_text())
        assert results["metric"] == "accuracy" and results["test"]["tasks"] == 600
        assert results["methods"]["chance"]["mean"] == pytest.approx([0.2] * 11)
        for figure in ("episode.png", "steps.png", "training.png"):
            assert (tmp_path / shots / figure).read_bytes().startswith(b"\x89PNG")
    assert main(["evaluate", str(tmp_path / "1-shot" / "maml.npz"), "--tasks", "5", "--steps", "2"]) == 0
    assert "5-way 1-shot" in capsys.readouterr().out


def test_a_convolutional_network_is_trained_resumed_and_evaluated(tmp_path, capsys):
    small = ["--family", "glyphs", "--model", "cnn", "--width", "2", "--tasks", "2", "--classes", "10", "--quiet"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["train", *small, "--iterations", "4", "--out", str(whole)]) == 0
    assert main(["train", *small, "--iterations", "2", "--out", str(parts)]) == 0
    assert main(["train", *small, "--iterations", "4", "--out", str(parts), "--resume"]) == 0
    (one, settings), (other, _) = (checkpoint.load(folder / "maml.npz") for folder in (whole, parts))
    assert all((one.theta[name] == other.theta[name]).all() for name in one.theta) and "gamma3" in one.theta
    assert settings["hidden"] == [2, 2, 2] and settings["options"]["norm"] == "batch"
    capsys.readouterr()
    assert main(["evaluate", str(whole / "maml.npz"), "--tasks", "3", "--steps", "1"]) == 0
    assert "5-way 1-shot glyphs" in capsys.readouterr().out


def test_shots_that_are_asked_are_the_only_ones(tmp_path, capsys):
    argv = ["compare", "planes", "--shots", "2", "--methods", "pretraining,scratch", "--iterations", "2", "--quiet"]
    assert main([*argv, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "5-way 2-shot planes" in printed and "1-shot" not in printed
    written = [".lock", "episode.png", "pretraining.npz", "results.json", "steps.png", "training.png"]
    assert sorted(os.listdir(tmp_path)) == written
    assert list(json.loads((tmp_path / "results.json").read_text())["methods"]) == ["pretraining", "scratch", "nearest", "chance"]
    assert [line.split("  ")[0] for line in printed.splitlines() if "+-" in line][1:] == [
        "pre-trained", "from scratch", "nearest neighbour", "chance",
    ]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), [
    (["compare", "--ways", "3"], "--ways is for planes, glyphs, omniglot, not for sinusoids"),
    (["compare", "--fixed-labels"], "--fixed-labels is for planes"),
    (["compare", "planes", "--data", "x"], "--data is for omniglot"),
    (["compare", "--methods", "pretraining,scratch", "--steps", "2"], f"--steps is for {STEPPING}, not for pretraining"),
    (["train", "--method", "pretraining", "--steps", "2"], f"--steps is for {STEPPING}, not for pretraining"),
    (["train", "--classes", "2"], "--classes is for planes"),
    (["compare", "planes", "--fixed-labels"], "add --classes 5"), (["compare", "omniglot"], "--data FOLDER"),
    (["compare", "omniglot", "--data", "nowhere"], "nowhere"), (["compare", "planes", "--ways", "1"], "ways is 1"),
    (["compare", "planes", "--classes", "3"], "ways is 5"),
    (["compare", "glyphs", "--classes", "9", "--shots", "6"], "20 examples"),
    (["train", "--family", "planes", "--method", "oracle"], "method oracle does not apply to planes: choose one of maml"),
    (["compare", "--methods", "maml,transfer"], "method transfer does not apply to sinusoids: choose one of maml"),
    (["compare", "--methods", "maml,magic"], "unknown method 'magic': choose one of maml, first-order, pretraining"),
    (["compare", "chess"], "'sinusoids', 'planes', 'sequences', 'navigation', 'glyphs', 'omniglot'"),
    (["train", "--family", "chess"], "'sinusoids', 'planes'"),
    (["train", "--method", "scratch"], "'maml', 'first-order', 'pretraining'"),
])
def test_what_does_not_belong_together_is_refused_by_name_and_makes_no_folder(tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    refused(capsys, [*options, "--quiet"], words)
    assert os.listdir(tmp_path) == []


def test_train_then_evaluate(tmp_path, capsys):
    assert main(["train", "--method", "first-order", "--iterations", "9", *TINY, "--out", str(tmp_path)]) == 0
    assert "9 iterations done" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "first-order.npz"), "--tasks", "20", "--steps", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("first-order MAML, 9 iterations; 20 new tasks, 2-shot sinusoids")
    assert [line.split()[0] for line in lines[2:]] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(("options", "words"), [
    (["--shots", "0"], ["shots is 0"]), (["--steps", "0"], ["steps is 0"]), (["--inner-lr", "-1"], ["inner_lr is -1"]),
    (["--outer-lr", "nan"], ["outer_lr is nan"]), (["--width", "many"], ["--width", "many"]),
    (["--iterations", "0"], ["iterations"]),
    (["--activation", "cube"], ["cube", "relu"]), (["--dtype", "int8"], ["int8"]),
    (["--paper", "--iterations", "5"], ["not allowed"]),
    (["--seed", "-3"], ["seed is -3"]), (["--frobnicate"], ["frobnicate"]),
])
@pytest.mark.parametrize("command", ["compare", "train"])
def test_bad_options_get_one_sentence_and_make_no_folder(tmp_path, capsys, monkeypatch, command, options, words):
    monkeypatch.chdir(tmp_path)
    refused(capsys, [command, *options], *words)
    assert os.listdir(tmp_path) == []


def test_an_earlier_run_is_kept(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main(["train", "--iterations", "3", *TINY, *out]) == 0
    before = (tmp_path / "maml.npz").read_bytes()
    refused(capsys, ["train", "--iterations", "3", *TINY, *out], "--resume")
    refused(capsys, ["train", "--iterations", "5", *TINY, *out, "--resume", "--width", "6"], "hidden")
    refused(capsys, ["train", "--iterations", "2", *TINY, *out, "--resume"], "but 3 are already done")
    assert (tmp_path / "maml.npz").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == [".lock", "maml.npz"]


def test_nothing_to_resume(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(capsys, ["train", "--resume"], "no run to resume in runs/train-sinusoids-maml-1, no maml.npz: ")
    refused(capsys, ["compare", "--resume", "--out", "nowhere"], "no run to resume in nowhere")
    assert os.listdir(tmp_path) == []


def test_the_run_that_is_resumed_is_of_this_method_and_this_family(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for family in ("sinusoids", "planes"):
        assert main(["train", "--family", family, "--iterations", "2", *TINY]) == 0
    (tmp_path / "runs" / "train-sinusoids-maml-2").mkdir()  # of a run that has ended before its first iteration
    capsys.readouterr()
    assert main(["train", "--iterations", "3", *TINY, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "3 iterations done" in said and "saved in runs/train-sinusoids-maml-1/maml.npz" in said
    out = ["--out", "runs/train-planes-maml-1"]
    refused(capsys, ["train", "--resume", "--method", "anil", *TINY, *out], "in runs/train-planes-maml-1, no anil.npz: leave")
    refused(capsys, ["train", "--resume", *TINY, *out], "runs/train-planes-maml-1/maml.npz was trained with family planes, not")
    assert sorted(os.listdir("runs/train-planes-maml-1")) == [".lock", "maml.npz"]


@pytest.mark.parametrize(("line", "words"), [
    (["train", "--out", ""], "argument --out: '' is not a path of one line: see "),
    (["train", "--out", "a\nb"], "argument --out: 'a\\nb' is not a path"), (["evaluate", "a\nb"], "is not a path"),
    (["train", "--out", 5000 * "x"], "(File name too long)"), (["evaluate", 5000 * "x"], "there is no checkpoint xxx"),
    (["train", "--resume", "--out", 5000 * "x"], "xxx..."), (["compare", "--out", 5000 * "x"], "(File name too long)"),
    (["evaluate", "here"], "here is a folder, expected a checkpoint: name a .npz file in it (a.npz)"),
    (["compare", "--methods", "maml,es,maml"], "a method is named twice in maml, es, maml: name each method once"),
    (["train", "--frobnicate"], "unrecognized argument '--frobnicate': see "), (["evaluate"], " -m tinymaml evaluate --help"),
    (["bench", "x", "--y"], " -m tinymaml bench --help"), (["--nonsense"], " -m tinymaml --help"),
    (["compare", "omniglot", "--data", "a\nb"], "a b is no"),
])  # fmt: skip
def test_what_argparse_or_the_disk_refuses_is_one_sentence(tmp_path, capsys, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.npz").touch()
    refused(capsys, line, words)
    assert os.listdir(tmp_path) == ["here"]


@pytest.mark.parametrize(("module", "name"), [(tasks, "FAMILIES"), (methods, "METHODS")])
def test_two_of_one_name_are_refused(tmp_path, capsys, monkeypatch, module, name):
    known = getattr(module, name)
    monkeypatch.setattr(module, name, (*known, known[1]))
    refused(capsys, ["train", "--iterations", "1", "--out", str(tmp_path / "run")], f"{known[1].name!r} is listed twice")
    assert os.listdir(tmp_path) == []


def test_numbers_are_short_and_one_task_has_no_interval(tmp_path, capsys):
    argv = ["train", "--method", "pretraining", "--outer-lr", "1e5", "--iterations", "2", *TINY, "--out", str(tmp_path)]
    assert main(argv) == 0
    assert re.search(r"batches is \d\.\de\+\d+;", capsys.readouterr().out)
    assert main(["evaluate", str(tmp_path / "pretraining.npz"), "--tasks", "1", "--steps", "1"]) == 0
    assert "+-" not in capsys.readouterr().out


def test_the_hint_names_python_as_the_user_started_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for started, executable, words in (
        ("tinymaml/__main__.py", "/usr/bin/python3", "python -m tinymaml"),
        ("tinymaml/__main__.py", str(tmp_path / ".venv" / "bin" / "python"), ".venv/bin/python -m tinymaml"),
        ("/somewhere/bin/tinymaml", "/usr/bin/python3", "tinymaml"),
    ):
        monkeypatch.setattr(sys, "argv", [started])
        monkeypatch.setattr(sys, "executable", executable)
        assert terminal.program() == words


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    refused(capsys, ["train", *TINY, "--out", str(tmp_path / "file" / "below")], "cannot make or write the folder")
    refused(capsys, ["train", *TINY, "--out", str(tmp_path / "file")], "cannot make or write the folder")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(("method", "more"), [("meta-sgd", []), ("lslr", []), ("es", ["--inside", "climb"])])
def test_a_rate_is_refused_where_new_tasks_are_adapted_to_at_rates_that_are_kept(tmp_path, capsys, method, more):
    out = str(tmp_path / method)
    assert main(["train", "--method", method, *more, *TINY, "--iterations", "1", "--out", out]) == 0
    few = [f"{out}/{method}.npz", "--tasks", "3", "--steps", "1"]
    assert main(["evaluate", *few]) == 0
    assert "its own learning rates" in capsys.readouterr().out
    sentence = f"--inner-lr is 0.1, but {method} adapts with its own learning rates: leave it out"
    refused(capsys, ["evaluate", *few, "--inner-lr", "0.1"], sentence)


def test_evaluate_refuses_what_is_no_checkpoint(tmp_path, capsys):
    (tmp_path / "text.npz").write_text("hello")
    refused(capsys, ["evaluate", str(tmp_path / "text.npz")], "not a whole tinymaml checkpoint")
    refused(capsys, ["evaluate", str(tmp_path / "missing.npz")], "there is no checkpoint")
    assert main(["train", "--iterations", "2", *TINY, "--out", str(tmp_path)]) == 0
    checkpoint = str(tmp_path / "maml.npz")
    for options, word in ((["--steps", "0"], "steps"), (["--tasks", "0"], "tasks"), (["--inner-lr", "0"], "inner_lr")):
        refused(capsys, ["evaluate", checkpoint, *options], word)


def test_divergence_has_its_own_status(tmp_path, capsys):
    assert main(["train", *TINY, "--iterations", "50", "--inner-lr", "1e100", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "diverged at iteration" in said and "inner_lr 1e+100" in said and "try" in said
    assert (tmp_path / "maml.npz").exists() == ("saved in" in said)


@pytest.mark.parametrize("command", [[], ["compare"], ["train"], ["evaluate"]])
def test_help_explains_in_the_fields_words(command):
    done = subprocess.run([sys.executable, "-m", "tinymaml", *command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    if command[:1] in (["compare"], ["train"]):
        said = " ".join(done.stdout.split())
        unspaced = lambda text: "".join(text.split())  # argparse breaks lines at hyphens too
        for word in ("support", "query", "meta-batch", "inner loop", "outer loop", "70000"):
            assert word in said
        offered = [method for method in methods.METHODS if method.gradient or command == ["compare"]]
        assert ("scratch" in said) == (command == ["compare"])
        for each in (*tasks.FAMILIES, *offered):
            assert unspaced(f"{each.name} {each.help}") in unspaced(said)
            assert all(unspaced(f"{option.help} [") in unspaced(said) for option in each.options)


def test_the_oracle_is_judged_as_it_stands(tmp_path, capsys):
    assert main(["train", "--method", "oracle", "--iterations", "3", *TINY, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "oracle.npz"), "--tasks", "9", "--steps", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("no adaptation") and len({line.split(maxsplit=1)[1] for line in lines[2:]}) == 1
    sentence = "--inner-lr is 0.1, but oracle does not adapt: leave it out"
    refused(capsys, ["evaluate", str(tmp_path / "oracle.npz"), "--inner-lr", "0.1"], sentence)


def test_without_a_command_it_says_what_there_is(capsys):
    refused(capsys, [], "COMMAND")


def test_an_error_of_python_says_where_it_is_and_one_of_ours_does_not(monkeypatch, tmp_path, capsys):
    def broken(model, settings):
        return lambda theta, batch, iteration: "a" + 1

    monkeypatch.setattr("tinymaml.experiment.run.gradient", lambda settings: broken(None, settings))
    assert main(["train", "--iterations", "1", "--quiet", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"(TypeError in {__file__}, line " in said
    assert main(["train", "--shots", "-1"]) == 2
    assert ", line " not in capsys.readouterr().err
