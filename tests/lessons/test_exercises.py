"""Every exercise of every lesson: its solution, its known mistakes, and the right and wrong answers in answers/."""

import importlib

import exercises
import nbformat
import numpy as np
import pytest
from answering import LESSONS, accepted, handed_in, printed, refused, solution_of, tagged
from exercises.exercise import Exercise, function
from exercises.guard import arrays_in, guarded
from nbclient import NotebookClient

from tinymaml import MLP, Parameters
from tinymaml.tasks import Sinusoids

PRINTED = printed()
EXERCISES = {number: exercises.of_number(number) for number in PRINTED}
EDITS = [(number, edit) for number, exercise in EXERCISES.items() if isinstance(exercise, Exercise)
         for edit in (*exercise.edits, *exercise.alone)]  # fmt: skip
ANSWERS = [answer for path in LESSONS for answer in handed_in(path.stem[:2])]


def test_every_exercise_has_a_check_and_every_check_an_exercise():
    lessons = [importlib.import_module(f"exercises.lesson_{path.stem[:2]}") for path in LESSONS]
    assert sorted(PRINTED) == sorted(number for lesson in lessons for number in lesson.CHECKS)


@pytest.mark.parametrize("number", PRINTED)
def test_the_lesson_prints_the_solution_of_the_exercise(number):
    (path,) = [path for path in LESSONS if int(path.stem[:2]) == int(number.split(".")[0])]
    assert solution_of(tagged(nbformat.read(path, 4), "solution")[number]) == EXERCISES[number].solution


@pytest.mark.parametrize(("number", "edit"), EDITS, ids=[f"{number}: {sentence}" for number, (_, _, sentence) in EDITS])
def test_every_edit_of_the_solution_is_refused_with_its_own_sentence(number, edit):
    """So each text is in the solution, and each edit gives numbers of its own."""
    old, new, sentence = edit
    assert "; and " not in sentence  # which stands between two mistakes
    assert EXERCISES[number].solution.count(old)
    refused(number, function(EXERCISES[number].solution.replace(old, new)), sentence)


@pytest.mark.parametrize("seed", [0, 11])
@pytest.mark.parametrize(("number", "right", "words", "source"), ANSWERS, ids=lambda value: str(value)[:60])
def test_answers_that_were_handed_in(number, right, words, source, seed):
    if right:
        accepted(number, function(source), [seed])
    else:
        refused(number, function(source), words, seed=seed)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("number", PRINTED)
def test_the_printed_solution_is_right_on_every_seed(number, seed, capsys):
    exercises.check(number, PRINTED[number][1], seed=seed)
    assert capsys.readouterr().out.endswith(f"Exercise {number} is right.\n")


@pytest.mark.parametrize("number", PRINTED)
def test_the_stub_is_not_attempted(number, capsys):
    exercises.check(number, PRINTED[number][0])
    assert capsys.readouterr().out.startswith(f"Exercise {number} is not attempted yet")


@pytest.mark.parametrize("number", PRINTED)
def test_what_is_no_answer_is_refused_in_words(number):
    refused(number, lambda *given, **named: None, "it returns None: does it end with a return?")
    refused(number, lambda *given, **named: "a word", "expected")
    refused(number, lambda a, b, c, d, e, f, g, h, i: 1, "TypeError")
    refused(number, 3, "expected a function")


def test_an_error_inside_the_function_says_what_it_was_given():
    def product(left, right):
        return left @ right

    with pytest.raises(exercises.WrongAnswer) as caught:
        guarded(product)(np.ones((2, 3)), np.ones((2, 3)))
    assert str(caught.value).startswith("product: it stops in the line `return left @ right` with ValueError")
    assert "It was given left (2, 3), right (2, 3): do the shapes fit" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_shapes_are_not_asked_about_where_they_cannot_be_the_cause():
    one, two = np.ones((2, 3)), np.ones((2, 3))
    for product in (lambda left, right: left.product(right), lambda left, right: float(1j)):
        with pytest.raises(exercises.WrongAnswer) as caught:
            guarded(product)(one, two)
        assert "Error: " in str(caught.value) and "do the shapes fit" not in str(caught.value)
    with pytest.raises(exercises.WrongAnswer) as caught:
        guarded(lambda left, right: max(left, right))(one, two)
    told = "`max`, `if` and `and` compare single numbers, not arrays: take one number of it first, such as its norm"
    assert str(caught.value).endswith(told)


def spoil_an_array(x, theta, batch, here):
    x *= 0
    return theta["w"]


def spoil_parameters(x, theta, batch, here):
    np.subtract(theta["w"], 1, out=theta["w"])
    return x


def spoil_a_batch(x, theta, batch, here):
    batch.y_query[0] = 7
    return x


def spoil_what_is_seen_from_theta(x, theta, batch, here):
    here.z[1][:] = np.tanh(here.z[1])
    return x


def in_single(x, theta, batch, here):
    return {"w": theta["w"], "b": x.astype(np.float32)}


def a_single_number(x, theta, batch, here):
    return np.float64(1), np.float32(x.mean())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (spoil_an_array, "spoil_an_array: it changes its argument x in place"),
        (spoil_parameters, "its argument theta['w'] in place"),
        (spoil_a_batch, "its argument batch.y_query in place"),
        (spoil_what_is_seen_from_theta, "its argument here in place"),
        (in_single, "the answer is in float32, and float64 was given: a precision is lost"),
        (a_single_number, "a precision is lost"),
    ],
)
def test_what_is_wrong_in_every_exercise_is_refused_by_the_guard(answer, words):
    rng, model = np.random.default_rng(0), MLP([1, 2, 1])
    batch = Sinusoids().sample(rng, tasks=2)
    here = model.at(model.init(rng), batch.x_support[0], batch.y_support[0])
    _ = here.z  # both sweeps are done, and all arrays are there
    given = rng.standard_normal(3), Parameters(w=rng.standard_normal(2)), batch, here
    before = [array.copy() for _, array in arrays_in(given)]
    with pytest.raises(exercises.WrongAnswer) as caught:
        guarded(answer)(*given)
    assert words in str(caught.value)
    for (_, array), copy in zip(arrays_in(given), before, strict=True):
        np.testing.assert_array_equal(array, copy)  # the check goes on with what it had


def test_what_the_guard_remembers_is_said_if_nothing_else_is():
    assert "this is x, as it was given" in refused("1.3", lambda x, amplitude, phase: 1 * x)
    assert "shape (5,), expected (): this is p, as it was given" in refused("7.2", lambda p: p)
    told = refused("1.3", lambda x, amplitude, phase: x.round().astype(int))
    assert "the answer holds whole numbers, int64, where floats are expected" in told


def test_a_notebook_shows_the_sentence_and_nothing_of_the_check():
    """In a real kernel: no traceback, no source, no file."""
    source = "import exercises\nexercises.check('2.1', lambda z, y: 2 * (z - y))"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    where = {"metadata": {"path": str(LESSONS[0].parent)}}
    NotebookClient(notebook, timeout=60, allow_errors=True, resources=where).execute()
    (error,) = [output for output in notebook.cells[0].outputs if output.output_type == "error"]
    sentence, line = error.traceback
    assert sentence == "D is wrong: a factor 1/n is missing: the loss is the mean over the examples (eq. 2)"
    assert line.startswith("D             (5, 3)        relative error") and line.endswith("wrong (beyond 1e-10)")
    assert "Traceback" not in sentence and ".py" not in sentence
    assert error.evalue == f"{sentence}\n{line}"
