"""For teachers: the notation of all lessons, from its one source.

    python lessons/teach.py notation               write the notation of reference.md into every lesson
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

LESSONS = Path(__file__).parent


def notebooks(folder: Path = LESSONS) -> list[Path]:
    """The lessons of a folder, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def write(path: Path, notebook: dict) -> None:
    """As Jupyter writes it, so that a version control sees what has changed and no more."""
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# -- the notation --------------------------------------------------------------------------------------------


def notation() -> str:
    """The section of reference.md that stands in every lesson."""
    sheet = (LESSONS / "reference.md").read_text(encoding="utf-8")
    return re.search(r"<!-- notation -->\n(.*?)\n<!-- end of notation -->", sheet, re.DOTALL)[1]


def write_notation() -> None:
    """Replace the cell with the title Notation in every lesson."""
    for path in notebooks():
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["source"] and cell["source"][0].startswith("## Notation"):
                cell["source"] = notation().splitlines(keepends=True)
        write(path, notebook)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("notation", help="write the notation of reference.md into every lesson")
    parser.parse_args()
    write_notation()


if __name__ == "__main__":
    main()
