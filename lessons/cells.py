"""The notebooks of the lessons, and their cells."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

LESSONS = Path(__file__).resolve().parent


def notebooks(folder: Path = LESSONS) -> list[Path]:
    """The lessons of a folder, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def read(path: Path) -> list[dict]:
    """The cells of a notebook, each source one string."""
    cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def numbers(cell: dict) -> list[str]:
    """The number of the exercise that a tagged cell belongs to, in a list; it is empty for other cells."""
    return [tag for tag in tags(cell) if re.fullmatch(r"[0-9]+\.[0-9]+", tag)]


@cache
def answer_names() -> dict[str, str]:
    """The name of the function that each exercise asks for, by its number, read from the stubs."""
    stubs = {numbers(cell)[0]: cell["source"] for path in notebooks() for cell in read(path) if "exercise" in tags(cell)}
    return {n: next(line.name for line in ast.parse(stub).body if isinstance(line, ast.FunctionDef)) for n, stub in stubs.items()}
