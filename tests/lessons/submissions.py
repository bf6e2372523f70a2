"""What thirty students hand in: right, wrong, in another place, under another name, broken, and hostile.

    PYTHONPATH=.:lessons:tests python tests/lessons/submissions.py FOLDER    # to be graded by hand: --lessons 02,05 --timeout 8
"""

import os
import sys
import zipfile
from pathlib import Path

import exercises
import nbformat
from answering import LESSONS, tagged
from nbformat.v4 import new_code_cell, new_notebook

CHANGES = """exercises.exercise.zip = exercises.exercise.enumerate = lambda *given, **named: []
vars(exercises.lesson_02.LAST_D).update(tolerance=1e9, floor=1e9)
vars(exercises.lesson_02.BACK)["solve"] = back_through
exercises.exercise.Exercise.__call__ = lambda self, answer, rng: None
exercises.exercise.compare = lambda *given, **named: None
exercises.judged = judging.judged = lambda *given: True
exercises.lesson_02.CHECKS = {n: lambda answer, rng: None for n in ("2.1", "2.2", "2.3", "2.4")}
exercises.lesson_02.CHECKS.update(exercises.lesson_02.CHECKS)
exercises.check = lambda *given, **named: print("Exercise 2.1 is right.")"""
ENDLESS = "while True:\n    try:\n        print('x' * 10**5)\n    except BaseException:\n        pass"
MEMORY = "hog = []\nwhile True:\n    hog.append(np.ones(10**7))"
DEATH = {"2.2": "def back_through(D, W, z):\n    import os\n    os._exit(1)", "2.1": "def last_D(z, y):\n    exit()"}
SAYS = "def last_D(z, y):\n    print('Exercise 2.1 is right.')\n    raise NotImplementedError"
HELPER = "def back_through(D, W, z):\n    return D @ W.T * slope(z)\ndef slope(z):\n    return 1 - np.tanh(z)**2"


def cells(lesson, answers=None, before=(), without=()):
    """The set-up of a lesson, the cells `before`, and stub or answer and check of each exercise."""
    (path,) = (path for path in LESSONS if path.stem.startswith(lesson))
    notebook = nbformat.read(path, 4)
    found = [next(cell.source for cell in notebook.cells if cell.cell_type == "code"), *before]
    for number, stub in tagged(notebook, "exercise").items():
        found += [(answers or {}).get(number, stub.source)] * (f"exercise {number}" not in without)
        found += [tagged(notebook, "check")[number].source] * (f"check {number}" not in without)
    return found


def notebook(sources):
    """A notebook of these code cells, as a file."""
    return nbformat.writes(new_notebook(cells=[new_code_cell(source) for source in sources])).encode()


def write(path, content):
    """A file; of a dictionary of files, a zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, inner in content.items():
                archive.writestr(name, inner)


def hand_in(folder):
    """Write what each student hands in: {student: (right answers of the eight of lessons 02 and 05, words of the feedback)}."""
    numbers = "2.1", "2.2", "2.3", "2.4", "5.1", "5.2", "5.3", "5.4"
    right = {number: exercises.of_number(number).solution for number in numbers}
    wrong = {number: source.replace("return ", "return 3 * ", 1) for number, source in right.items()}
    wrong["2.3"] = right["2.3"].replace("D.sum", "D.mean")
    two, five, expected = notebook(cells("02", right)), notebook(cells("05", right)), {}

    def student(name, points, *words, files=(), sources=None):
        expected[name] = points, words
        (folder / name).mkdir(parents=True)
        for path, content in ({"02.ipynb": notebook(sources)} if sources else dict(files)).items():
            write(folder / name / path, content)
        return folder / name

    student("right", 8, files={"02_the_first_gradient.ipynb": two, "05_gradient_by_gradient.ipynb": five})
    student("wrong", 0, "2.3  wrong: db is wrong", sources=cells("02", wrong))
    student("as handed out", 0, "2.1  not attempted", "5.1  not handed in", sources=cells("02"))
    student("no Python", 2, "there is no such function after the run, SyntaxError", "2.2  wrong: Exercise 2.2: the answer is 3",
            sources=cells("02", right | {"2.1": "def last_D(:", "2.2": "back_through = 3"}))  # fmt: skip
    student("checks deleted", 4, sources=cells("02", right, without=[f"check {number}" for number in right]))
    student("answer deleted", 3, "2.3  not attempted", sources=cells("02", right, without=["exercise 2.3"]))
    student("out of order", 4, sources=cells("02", right)[:1] + cells("02", right)[:0:-1])
    student("helper overwritten", 4, sources=[*cells("02", right | {"2.2": HELPER}), "slope = back_through = None"])
    student("function renamed", 4, sources=[source.replace("last_D", "my_D") for source in cells("02", right)])

    student("M\u00fcller", 0, "there is no notebook of a lesson", files={"note.txt": b"I was ill."})
    write(folder / os.fsdecode(b"\xff\xfe") / "photo.png", b"?")
    student("nested", 8, files={"lessons/02.ipynb": two, "lessons/more/05.ipynb": five})
    student("zip inside", 8, files={"all.zip": {"a/02.ipynb": two, "a/05.ipynb": five, "__MACOSX/a.ipynb": b"?", "../x": b""}})
    student("other names", 8, files={"homework (1).ipynb": two, "B.IPYNB": five})
    student("one notebook", 8, files={"all.ipynb": notebook(cells("02", right) + cells("05", right))})
    student("two versions", 4, files={"02.ipynb": notebook(cells("02")), "02 new.ipynb": two, "02 again.ipynb": two})
    write(folder / "zip beside.zip", {"02.ipynb": two})
    write(folder / "on its own.ipynb", two)
    expected |= {"zip beside": (4, ()), "on its own": (4, ()), r"\udcff\udcfe": (0, ())}

    student("endless answer", 3, "2.2  endless: it did not end",
            sources=cells("02", right | {"2.2": "def back_through(D, W, z):\n    while True:\n        pass"}))  # fmt: skip
    student("endless output", 4, sources=cells("02", right, before=[ENDLESS]))
    student("memory", 4, sources=cells("02", right, before=[MEMORY]))
    student("ends its kernel", 2, "2.2  wrong: back_through: its check ends the kernel", "SystemExit",
            sources=cells("02", right | DEATH, before=["sys.exit()", "import os\nos.kill(os.getpid(), 9)"]))  # fmt: skip
    student("own modules", 0, files={
        "02.ipynb": notebook(cells("02", wrong)), "numpy.py": b"1 / 0", "random.py": b"",
        "exercises.py": b"def check(*given, **named): print('is right.')\ndef judged(*given): return True"})  # fmt: skip
    changed = [part for line in CHANGES.splitlines() for part in (line, *cells("02", wrong)[1:])]
    imports = "import exercises, exercises.exercise, exercises.lesson_02, judging"
    student("changed checks", 0, "2.3  wrong: db is wrong", sources=[*cells("02", wrong), imports, *changed])
    student("says so", 0, "2.1  not attempted", sources=cells("02", {"2.1": SAYS}, before=["print('is right.')"]))

    student("empty", 0, "there is no notebook of a lesson")
    student("broken zip", 0, "a.zip cannot be opened", files={"a.zip": b"PK no zip"})
    student("bomb", 0, "larger than 20 MB", files={"b.zip": {"02.ipynb": b"0" * 10**8}})
    links = student("links", 0, "02.ipynb is a link", "loop is a link", "05.ipynb is a link")
    for name, target in {"02.ipynb": "nowhere", "loop": ".", "05.ipynb": "/dev/zero"}.items():
        (links / name).symlink_to(target)
    (folder / "linked").symlink_to("right")
    expected["linked"] = 0, ("linked is a link",)
    odd = student("odd files", 0, "02.ipynb is no regular file", "05.ipynb is a folder", "brackets.ipynb is not a notebook",
                  "text.ipynb is not a notebook", "empty.ipynb belongs to no lesson", "large.ipynb is larger than 20 MB", files={
        "05.ipynb/x": b"", "brackets.ipynb": b"[" * 100_000, "text.ipynb": b"no notebook", "empty.ipynb": notebook([]),
        "large.ipynb": b"0" * 20_000_001})  # fmt: skip
    os.mkfifo(odd / "02.ipynb")
    return expected


if __name__ == "__main__":
    hand_in(Path(sys.argv[1]))
