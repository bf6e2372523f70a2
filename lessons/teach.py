"""For teachers: copies of the lessons to hand out, the grading of what comes back, and lessons to read in a browser.

    python lessons/teach.py handout FOLDER                 the lessons without solutions, outputs and spoilers
    python lessons/teach.py grade FOLDER --seed 7          run what is in FOLDER/STUDENT: FOLDER/grades.csv, and feedback
    python lessons/teach.py site FOLDER                    a static site that runs the lessons in the browser
    python lessons/teach.py pages FOLDER                   each lesson as one HTML file, and as a PDF
    python lessons/teach.py slides 05 FILE                 the slides of a lesson as one HTML file
    python lessons/teach.py refresh                        write notation, solutions and alt texts into every lesson

`grade` executes what students wrote, with your rights: look at the notebooks first, or run it in a container.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from cells import LESSONS, answer_names, notebooks, numbers, read, tags

FIGURE = "**What the figure shows.**"


def rewrite(path: Path, cells: list[dict], into: Path) -> None:
    """The notebook with these cells, as Jupyter writes it: a version control sees what has changed and no more."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"] = [cell | {"source": cell["source"].splitlines(keepends=True)} for cell in cells]
    into.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# -- what stands elsewhere -----------------------------------------------------------------------------------


def notation(keys: str) -> str:
    """The folded notation of a lesson: the rows of reference.md with these keys, which are the letters of the first symbol."""
    sheet = (LESSONS / "reference.md").read_text(encoding="utf-8")
    head, *rows = re.findall(r"^\|.*\|$", re.search(r"## Notation\n(.*?)\n## ", sheet, re.DOTALL)[1], re.MULTILINE)
    by_key = {re.sub("[^A-Za-z]", "", re.split(r"[, ]", row.removeprefix("| "))[0]): row for row in rows[1:]}
    if missing := [key for key in keys.split() if key not in by_key]:
        raise ValueError(f"reference.md has no notation {', '.join(missing)}: it has {' '.join(by_key)}")
    table = "\n".join([head, rows[0], *(by_key[key] for key in keys.split())])
    return (
        f"<details><summary>Notation of this lesson</summary>\n\n<!-- rows: {keys} -->\n\n{table}\n\n"
        "All other letters are local to one section and defined there. All equations and a glossary are on one sheet, "
        "[reference.md](reference.md).\n\n</details>"
    )


def refresh() -> None:
    """Write what stands elsewhere into every lesson: the notation, the solutions, and the alt text of each figure."""
    for path in notebooks():
        cells = read(path)
        for i, cell in enumerate(cells):
            if rows := re.search(r"<!-- rows: (.*?) -->", cell["source"]):
                cell["source"] = notation(rows[1])
            if "solution" in tags(cell):
                cell["source"] = with_solution(cell["source"], numbers(cell)[0])
            if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                cell["metadata"] = cell["metadata"] | {"alt": _said_of_the_figure(cells[i:])}
            elif "alt" in cell["metadata"]:  # of a figure that has gone
                del cell["metadata"]["alt"]
        rewrite(path, cells, path)


def with_solution(source: str, number: str) -> str:
    """The text of a solution cell with its Python block as the exercise has it."""
    from exercises import of_number

    return re.sub(r"```python\n.*?```", lambda _: f"```python\n{of_number(number).solution}```", source, count=1, flags=re.DOTALL)


def _said_of_the_figure(cells: list[dict]) -> str:
    """The paragraph of the next "What the figure shows", without Markdown: exported pages have it as alt text."""
    told = next(cell["source"] for cell in cells if FIGURE in cell["source"]).partition(FIGURE)[2].strip().partition("\n\n")[0]
    return re.sub(r"[$*`\\{}]", "", " ".join(told.replace("\\cdot", "times").split()))


# -- handing out ---------------------------------------------------------------------------------------------

STUDENTS_README = """# tinymaml: the lessons

Needs Python 3.11 or newer. In this folder, one line installs everything and opens the lessons:

```sh
python3 -m venv .venv && .venv/bin/python -m pip install -q ".[lessons]" && .venv/bin/python -m jupyter lab
```

On Windows, write `python` for `python3` and `.venv\\Scripts\\python` for `.venv/bin/python`.

Start with lesson 01, and run its cells one after another with Shift+Enter. What comes after a prediction is folded: predict, run,
then open it. In an exercise, replace the line `raise NotImplementedError(...)`, and run it and the check below it. Skip one,
and the lesson goes on with the library's version. All symbols, equations and words are in [reference.md](reference.md).

Hand in the notebooks, under their own names.
"""

# In the students' exercises/__init__.py: the other modules are in a zip beside it, so that nobody reads an answer by accident.
ZIPPED = """from __future__ import annotations

__path__.append(f"{__path__[0]}/checks.zip")  # the modules that it imports
"""


def handout(folder: Path) -> None:
    """Write the students' copies into a new folder: lessons, zipped checks, figures, reference sheet and the package."""
    root, nothing = LESSONS.parent, shutil.ignore_patterns("__pycache__")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: name a new folder")
    if {LESSONS, root / "tinymaml"} & {(real := Path(os.path.realpath(folder))), *real.parents}:
        raise ValueError(f"{folder} is in what is handed out: name a folder elsewhere")
    for name in ("exercises", "figures"):
        shutil.copytree(LESSONS / name, folder / name, ignore=nothing, dirs_exist_ok=True)
    shutil.copytree(root / "tinymaml", folder / "tinymaml", ignore=nothing)
    for file in (root / "pyproject.toml", root / "LICENSE", LESSONS / "reference.md", LESSONS / "failure_signatures.md"):
        shutil.copy(file, folder)
    sheet = (folder / "reference.md").read_text(encoding="utf-8")
    sheet = re.sub(r"<!--.*?-->\n", "", sheet)
    (folder / "reference.md").write_text(sheet, encoding="utf-8")
    (folder / "README.md").write_text(STUDENTS_README, encoding="utf-8")
    for path in notebooks():
        rewrite(path, students_cells(read(path)), folder / path.name)
    _zip(folder / "exercises")


def students_cells(cells: list[dict]) -> list[dict]:
    """The cells without solutions and outputs; what tells how a prediction came out is folded."""
    kept, asked = [], False
    for cell in cells:
        if "solution" in tags(cell):
            continue
        if cell["cell_type"] == "code":
            cell = cell | {"outputs": [], "execution_count": None}
            if "spoiler" in tags(cell):
                cell["metadata"] = cell["metadata"] | {"jupyter": {"source_hidden": True}}
            asked = asked or "exercises.prediction(" in cell["source"]
        elif asked or "spoiler" in tags(cell) or FIGURE in cell["source"]:
            when = "After the exercise" if "spoiler" in tags(cell) else "After you have run it"
            cell, asked = cell | {"source": _folded(cell["source"], when)}, False
        kept.append(cell)
    return kept


def _folded(source: str, when: str) -> str:
    """The text up to the next heading inside <details>, with the words that say when to open it."""
    told, heading, rest = re.match(r"(.*?)(^#+ .*)?\Z", source, re.DOTALL | re.MULTILINE).group(1, 2, 0)
    if not told.strip():
        return rest
    return f"<details><summary>{when}</summary>\n\n{told.strip()}\n\n</details>\n\n{heading or ''}".rstrip()


def _zip(folder: Path) -> None:
    """Put every module but the first into a zip, from which Python imports. It is no lock, and README.md says so."""
    with ZipFile(folder / "checks.zip", "w", ZIP_DEFLATED) as archive:
        for module in sorted(folder.glob("*.py")):
            if module.name != "__init__.py":
                archive.write(module, module.name)
                module.unlink()
    first = folder / "__init__.py"
    source = first.read_text(encoding="utf-8").replace("from __future__ import annotations\n", ZIPPED, 1)
    first.write_text(source, encoding="utf-8")


# -- the command line ----------------------------------------------------------------------------------------


def exercises_of(lessons: str) -> dict[str, str]:
    """The exercises of the lessons "02,05" and the functions that they ask for."""
    found = {}
    for lesson in lessons.split(","):
        mine = {n: name for n, name in answer_names().items() if n.split(".")[0] == lesson.strip().lstrip("0")}
        if not mine:
            raise ValueError(f"there is no lesson {lesson!r} that has exercises")
        found |= mine
    return found


def weights_of(text: str, names: dict[str, str]) -> dict[str, float]:
    """The points of some of these exercises, from "2.1=2,5.3=0.5"."""
    found = {}
    for part in text.split(","):
        number, _, points = map(str.strip, part.partition("="))
        if number not in names or not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", points):
            raise ValueError(f"--weights takes exercise=points, as in {next(iter(names))}=2, and not {part!r}")
        found[number] = float(points)
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    out = commands.add_parser("handout", help="copies of the lessons without solutions, outputs and spoilers")
    out.add_argument("folder", type=Path, help="a new folder")
    back = commands.add_parser("grade", help="run what students handed in, and check it")
    back.add_argument("folder", type=Path, help="holds a folder or a zip for each student, with their notebooks")
    back.add_argument("--seed", type=int, required=True, help="of the numbers that the checks draw; the lessons use 0")
    back.add_argument("--lessons", help="those that count, as in 02,05 (default: all)")
    back.add_argument("--weights", help="points of exercises, as in 2.1=2,5.3=0.5 (default: 1)")
    back.add_argument("--timeout", type=int, default=60, help="seconds for each cell (default 60)")
    back.add_argument("--memory", type=int, default=4, help="GB for each kernel (default 4)")
    back.add_argument("--jobs", type=int, default=1, help="students at a time (default 1)")
    web = commands.add_parser("site", help="a static site that runs the lessons in the browser")
    web.add_argument("folder", type=Path, help="a new folder")
    web.add_argument("--offline", type=Path, metavar="WHEELS", help="folder with the wheels of Pyodide: no other host is asked")
    paper = commands.add_parser("pages", help="each lesson as one HTML file, and as a PDF where there is Chromium")
    paper.add_argument("folder", type=Path, help="a new folder")
    wall = commands.add_parser("slides", help="the slides of a lesson as one HTML file")
    wall.add_argument("lesson", help="its number, as in 05")
    wall.add_argument("file", type=Path, help="for instance slides_05.html")
    commands.add_parser("refresh", help="write notation, solutions and alt texts into every lesson")
    asked = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show ends nothing
    try:
        if asked.command == "grade":
            numbers_of = {name: getattr(asked, name) for name in ("seed", "timeout", "memory", "jobs")}
            for name, value in numbers_of.items():
                if not (name != "seed") <= value <= 10**9:
                    raise ValueError(f"--{name} takes a number from {int(name != 'seed')} to 1000000000, and not {value}")
            from grading import Settings, grade  # which starts kernels: nothing else here needs Jupyter

            names = answer_names() if asked.lessons is None else exercises_of(asked.lessons)
            weights = {} if asked.weights is None else weights_of(asked.weights, names)
            grade(asked.folder, Settings(names=names, weights=weights, **numbers_of))
        elif asked.command == "handout":
            handout(asked.folder)
            print(f"{len(notebooks())} lessons in {asked.folder}. Students begin with {asked.folder / 'README.md'}.")
        elif asked.command == "site":
            import publish

            publish.site(asked.folder, asked.offline)
        elif asked.command in ("pages", "slides"):
            import pages

            pages.pages(asked.folder) if asked.command == "pages" else pages.slides(asked.lesson, asked.file)
        else:
            refresh()
    except KeyboardInterrupt:
        raise SystemExit("stopped") from None
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f"{error.filename}: {error.strerror}" if getattr(error, "strerror", None) else str(error)) from None


if __name__ == "__main__":
    main()
