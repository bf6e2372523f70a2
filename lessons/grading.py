"""Grading: notebooks are run in fresh kernels, failing cells and all, and each answer is judged where its check stands.

Whatever a student hands in is a row of the table. What they wrote is executed with the rights of whoever grades.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from zipfile import ZipFile

from cells import LESSONS, answer_names, read
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

LARGEST, ROOM = 20_000_000, 200_000_000  # bytes of a file that is read, and of all that a student hands in
NOTEBOOKS = 20  # of a student, that are run
RESTARTS = 5  # of the kernel, for one notebook
GRACE = 10  # seconds in which an interrupted cell must end

RESULTS = ("not handed in", "not attempted", "wrong", "endless", "right")  # the last is the best
Verdict = tuple[str, str]  # a result and a sentence


@dataclass(frozen=True)
class Settings:
    """How to grade."""

    seed: int
    names: dict[str, str]  # the function of each exercise that counts
    weights: dict[str, float]  # the points of those that do not count 1
    timeout: int  # seconds of a cell
    memory: int  # GB of a kernel
    jobs: int  # students at a time


def grade(folder: Path, how: Settings) -> None:
    """Grade what each student has handed in, and write grades.csv and the feedback, a student at a time."""
    students = submissions(folder)
    if not students:
        raise ValueError(f"{folder} has no folder in it: one for each student is expected, with their notebooks")
    table, gate = Table(folder, how), asyncio.Semaphore(how.jobs)

    async def one(student: str, place: Path) -> None:
        async with gate:
            await grade_student(student, students[student], place, table, how)

    async def everyone(scratch: Path) -> None:
        await asyncio.gather(*(one(student, scratch / str(i)) for i, student in enumerate(students)))

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may have inherited to ignore it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with tempfile.TemporaryDirectory(prefix="tinymaml-grading-", ignore_cleanup_errors=True) as scratch:
            print(f"This executes what {len(students)} students wrote, with your rights, in copies in {scratch}.", flush=True)
            asyncio.run(everyone(Path(scratch)))
    except KeyboardInterrupt:
        raise SystemExit(f"Stopped. {table.path} has what is done, and the same command goes on from there.") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print(f"The points are in {table.path}, the sentences for the students in {table.feedback}.")


def submissions(folder: Path) -> dict[str, list[Path]]:
    """What each student has handed in: a folder, a zip, or a notebook on its own."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        alone = path.suffix.lower() in (".zip", ".ipynb")
        if path.name[0] not in "._" and (alone or path.is_dir() or path.is_symlink()):
            found.setdefault(shown(path.stem if alone else path.name), []).append(path)
    return found


async def grade_student(student: str, handed_in: list[Path], place: Path, table: Table, how: Settings) -> None:
    """The row of one student, whatever happens."""
    found: dict[str, Verdict] = {}
    began, digest, remarks = time.monotonic(), "", []
    try:
        place.mkdir()
        remarks += [tidy(remark) for path in handed_in for remark in unpack(path, place / path.name)]
        digest = digest_of(place, remarks, how)
        if table.rows.get(student, {}).get("digest") == digest:
            print(f"{student}: not changed since it was graded", flush=True)
            return
        for lesson, cells, here in notebooks_in(place, remarks):
            if any(n.split(".")[0] == lesson for n in how.names):
                found = merged(found, await run_notebook(lesson, cells, here, how))
    except Exception as error:  # of ours or of the machine: the others go on, and a second run tries this one again
        remarks.append(f"not graded to the end: {type(error).__name__}: {error}")
        digest = ""
    shutil.rmtree(place, ignore_errors=True)
    table.add(student, found, [tidy(remark) for remark in remarks], digest, time.monotonic() - began)


# -- what was handed in --------------------------------------------------------------------------------------


def unpack(source: Path, place: Path) -> list[str]:
    """Copy what a student has handed in, and open the zips; a sentence for each file that is left. Links are not followed."""
    remarks, room = [], ROOM

    def wanted(name: Path, mode: int, size: int) -> bool:
        nonlocal room
        if any(part.startswith(".") or part in ("__pycache__", "__MACOSX") for part in name.parts):
            return False
        kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder" * (name.suffix.lower() == ".ipynb"), stat.S_IFREG: ""}
        odd = kinds.get(stat.S_IFMT(mode), "no regular file") or f"larger than {LARGEST // 10**6} MB" * (size > LARGEST)
        room -= 4096 + size * (not odd)
        remark = f"{name} is {odd}: it is not read" if odd else f"there is more than {ROOM // 10**6} MB: not all of it is read"
        if (odd or room < 0) and remark not in remarks:
            remarks.append(remark)
        return not odd and room >= 0

    def unwanted(folder: str, names: list[str]) -> list[str]:
        paths = [(Path(folder, name), Path(folder, name).lstat()) for name in sorted(names)]
        return [path.name for path, info in paths if not wanted(path.relative_to(source), info.st_mode, info.st_size)]

    if source.is_dir() and not source.is_symlink():
        try:
            shutil.copytree(source, place, ignore=unwanted, symlinks=True)
        except shutil.Error as error:  # after all that can be read
            remarks += [f"{Path(path).relative_to(source)} cannot be read" for path, *_ in error.args[0]]
    elif wanted(Path(source.name), source.lstat().st_mode, source.lstat().st_size):
        place.mkdir()
        shutil.copyfile(source, place / source.name)
    for path in sorted(path for path in place.rglob("*") if path.suffix.lower() == ".zip" and path.is_file()):
        name, folder = path.relative_to(place).with_suffix(""), path.with_suffix("")
        try:
            with ZipFile(path) as archive:
                for inner in archive.infolist():
                    if not inner.is_dir() and wanted(Path(f"{name}/{inner.filename}"), stat.S_IFREG, inner.file_size):
                        archive.extract(inner, folder)
        except Exception as error:  # whatever a strange file does to those who read it
            remarks.append(f"{name}.zip cannot be opened to its end: {getattr(error, 'strerror', None) or error}")
    return remarks


def digest_of(place: Path, remarks: list[str], how: Settings) -> str:
    """One word for what was handed in, the checks, and how it is graded: as long as it stays, nothing need be run again."""
    found = hashlib.sha256(repr((remarks, how.timeout, how.memory)).encode())
    for path in sorted([*place.rglob("*"), *(LESSONS / "exercises").glob("*.py")]):
        if path.is_file():
            found.update(os.fsencode(path.relative_to(place if place in path.parents else LESSONS)) + b"\0" + path.read_bytes())
    return f"sha256:{found.hexdigest()[:20]}"


def notebooks_in(place: Path, remarks: list[str]) -> list[tuple[str, list[str], Path]]:
    """(lesson, sources of the code cells, folder) of each notebook; of several of one lesson the best verdicts count."""
    found = []
    for path in sorted(path for path in place.rglob("*") if path.suffix.lower() == ".ipynb" and path.is_file()):
        try:
            cells = read(path)
            sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
            lesson = lesson_of("\n".join(sources), path.stem)
        except Exception as error:  # no JSON, no notebook, or brackets without end
            remarks.append(f"{path.relative_to(place)} is not a notebook that can be read: {type(error).__name__}")
            continue
        if not lesson:
            remarks.append(f"{path.relative_to(place)} belongs to no lesson: it has none of the exercises")
        elif len(found) < NOTEBOOKS and (lesson, sources) not in [book[:2] for book in found]:
            found.append((lesson, sources, path.parent))
    remarks += ["there is no notebook of a lesson"] * (not found)
    return found


def lesson_of(text: str, name: str) -> str:
    """"2" for a notebook of lesson 02: by the exercises that it checks and answers, else by its name; or ""."""
    asked = re.findall(r"check\(\s*[\"'](\d+)\.", text)
    asked += [n.split(".")[0] for n, function in answer_names().items() if re.search(rf"\bdef {function}\b", text)]
    asked = asked or [number.lstrip("0") for number in re.findall(r"\d+", name)[:1]]
    known = {n.split(".")[0] for n in answer_names()}
    return next((lesson for lesson, _ in Counter(asked).most_common() if lesson in known), "")


# -- running it ----------------------------------------------------------------------------------------------


class LeftOut(Exception):
    """A cell after which its kernel is of no use: the notebook is run again without it."""


class Kernel(NotebookClient):
    """Keeps verdicts and errors only: a cell may print and draw without end."""

    async def run(self, source: str) -> str:
        """Run a cell; what went wrong in it, or ""."""
        cell, began, before = new_code_cell(source), time.monotonic(), self.found
        if asyncio.current_task().cancelling():  # the grading ends, and the start of a kernel has swallowed it
            raise asyncio.CancelledError
        try:
            await self.async_execute_cell(cell, 0, store_history=False)
        except DeadKernelError:
            if asyncio.current_task().cancelling():  # it is the grading that ends
                raise asyncio.CancelledError from None
            raise LeftOut("ends the kernel") from None
        except CellTimeoutError:
            raise LeftOut(f"did not end within {self.timeout} s") from None
        if any(output.ename.endswith("MemoryError") for output in cell.outputs):
            raise LeftOut("takes too much memory")
        if time.monotonic() - began >= self.timeout and self.found == before:  # else it was an answer that did not end
            raise LeftOut(f"did not end within {self.timeout} s")
        return "".join(f"{output.ename}: {output.evalue}".strip(": ") for output in cell.outputs[-1:])

    def process_message(self, msg: dict, cell: dict, cell_index: int) -> None:
        content = msg["content"]
        if content.get("metadata", {}).get("mark") == self.mark:
            number, *verdict = json.loads(content["data"]["text/plain"])
            self.found = merged(self.found, {number: tuple(verdict)})
        elif msg["msg_type"] in ("status", "error"):
            super().process_message(msg, cell, cell_index)


@asynccontextmanager
async def kernel(lesson: str, place: Path, how: Settings) -> AsyncIterator[Kernel]:
    """A fresh kernel in a student's folder, with the checks in it."""
    log = logging.getLogger("tinymaml.grading")
    log.setLevel(logging.CRITICAL)
    paths = os.pathsep.join([str(LESSONS), str(LESSONS.parent)])
    variables = {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    late = {"ename": "TimeoutError", "evalue": "", "traceback": []}
    client = Kernel(
        new_notebook(cells=[new_code_cell()]), timeout=60 + how.timeout, kernel_name="python3", allow_errors=True, log=log,
        interrupt_on_timeout=True, error_on_timeout=late, iopub_timeout=GRACE, raise_on_iopub_timeout=True,
    )  # fmt: skip
    client.mark, client.found = secrets.token_hex(), {}  # what a student prints cannot be taken for a verdict
    manager = client.create_kernel_manager()
    try:
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await client.async_start_new_kernel(cwd=str(place), env=os.environ | variables, **silent)
        await client.async_start_new_kernel_client()
        given = f"{lesson}, {how.seed}, {how.memory * 10**9}, {client.mark!r}"
        trouble = await client.run(f"import judging; judging.prepare({given})")
        if trouble:
            raise RuntimeError(f"the checks of lesson {lesson} cannot be loaded: {trouble}")
        client.timeout = how.timeout
        yield client
    finally:
        if client.kc:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)


async def run_notebook(lesson: str, cells: list[str], place: Path, how: Settings) -> dict[str, Verdict]:
    """Run one notebook, failing cells and all: {number: verdict}. An answer that is not right by then is judged at the end again.

    What has been right stays right: a cell that ends its kernel is left out, and the notebook run again.
    """
    text, found, left_out, trouble = "\n".join(cells), {}, {}, {}
    names = {n: name for n, name in how.names.items() if n.split(".")[0] == lesson or re.search(rf"\bdef {name}\b", text)}
    last = {n: f"if {name!r} in globals(): __import__('judging').check({n!r}, globals()[{name!r}])" for n, name in names.items()}
    for _ in range(RESTARTS):
        async with kernel(lesson, place, how) as client:
            client.found = found
            for key, source in {**dict(enumerate(cells)), **last}.items():
                if key in left_out or client.found.get(key, ("",))[0] in ("right", "endless"):
                    continue
                try:
                    trouble[key] = await client.run(source)
                except LeftOut as why:
                    trouble[key] = left_out[key] = f"its {'check' if key in names else 'cell'} {why}"
                    break
                finally:
                    found = client.found
            else:
                break
    else:
        trouble |= {n: f"its kernel died {RESTARTS} times" for n in names if n not in found}
    for n, name in names.items():
        where = [i for i, source in enumerate(cells) if re.search(rf"^def {name}\(|^{name} *=", source, re.MULTILINE)]
        why = trouble.get(n) or (trouble.get(where[-1]) or "something replaced it" if where else "")
        if n not in found or n in left_out:
            missing = "" if trouble.get(n) else "there is no such function after the run, "
            found = merged(found, {n: ("wrong", f"{name}: {missing}{why}") if why else ("not attempted", "")})
    return found


def merged(found: dict[str, Verdict], more: dict[str, Verdict]) -> dict[str, Verdict]:
    """The better of two verdicts on each exercise; of two that are as good, the first."""
    return found | {n: new for n, new in more.items() if n not in found or RESULTS.index(new[0]) > RESULTS.index(found[n][0])}


# -- what comes out ------------------------------------------------------------------------------------------


class Table:
    """grades.csv, written anew after each student. One of other exercises, weights or another seed is left as it is."""

    def __init__(self, folder: Path, how: Settings):
        self.seed, self.names = how.seed, how.names
        self.weights = {n: how.weights.get(n, 1) for n in how.names}
        self.columns = {n: f"exercise {n}" + f" (of {weight:g})" * (weight != 1) for n, weight in self.weights.items()}
        self.header = ["student_id", *self.columns.values(), "score", "max_score", "remarks", "seed", "digest"]
        for k in count(1):
            self.path, self.rows = folder / ("grades.csv" if k == 1 else f"grades-{k}.csv"), {}
            if not os.path.lexists(self.path) or self._goes_on():
                break
        self.feedback = folder / self.path.stem.replace("grades", "_feedback")
        self.feedback.mkdir(exist_ok=True)

    def _goes_on(self) -> bool:
        """Read the file; whether it is one of this grading."""
        try:
            with open(self.path, newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error):
            return False
        self.rows = {row.get("student_id"): row for row in rows}
        return bool(rows) and all(list(row) == self.header and row["seed"] == str(self.seed) for row in rows)

    def write(self) -> None:
        """The file as a whole or not at all; with the mark by which a spreadsheet knows the encoding."""
        new = self.path.with_name(f".{self.path.name}")
        with open(new, "w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, self.header)
            writer.writeheader()
            writer.writerows(row for _, row in sorted(self.rows.items()))
        os.replace(new, self.path)

    def add(self, student: str, found: dict[str, Verdict], remarks: list[str], digest: str, seconds: float) -> None:
        """The row, the feedback and the lines on the screen of one student."""
        verdicts = {n: found.get(n, (RESULTS[0], "")) for n in self.names}
        points = {n: self.weights[n] * (result == "right") for n, (result, _) in verdicts.items()}
        self.rows[student] = {self.columns[n]: f"{value:g}" for n, value in points.items()} | {
            "student_id": student, "score": f"{sum(points.values()):g}", "max_score": f"{sum(self.weights.values()):g}",
            "remarks": "; ".join(remarks[:5]), "seed": str(self.seed), "digest": digest,
        }  # fmt: skip
        title = f"{student}: {self.rows[student]['score']} of {self.rows[student]['max_score']}"
        lines = remarks + [f"{n}  {result}" + f": {tidy(why)}" * bool(why) for n, (result, why) in verdicts.items()]
        text = "\n".join([f"# {title}", "", *(f"- {line}" for line in lines), ""])
        (self.feedback / f"{student}.md").write_text(text, encoding="utf-8")
        self.write()
        told = (line[:180] for line in lines if line in remarks or ": " in line)
        print(f"{title}, {seconds:.0f} s", *told, sep="\n    ", flush=True)


def tidy(text: str) -> str:
    """In one line."""
    return shown("; ".join(" ".join(line.split()) for line in text.splitlines()))


def shown(text: str) -> str:
    """With an escape in place of what no terminal and no file can be given."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
