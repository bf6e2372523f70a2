"""The reference sheet has every equation that code, lessons and tests cite."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHEET = (ROOT / "lessons" / "reference.md").read_text(encoding="utf-8")
PRINTED = [int(number) for number in re.findall(r"\\tag\{(\d+)\}", SHEET)]
CITED = re.compile(r"\b[Ee]q(?:\. ?\(?|s\. ?\(?(?=\d+\)?((?: ?(?:-|–|,| to| and| or) ?\(?\d+\)?)*)))(\d+)")


def cited(text: str) -> set[int]:
    """The numbers of all equations that a text cites."""
    found = set()
    for others, first in CITED.findall(text):
        numbers, last = {int(first)}, int(first)
        for between, number in re.findall(r"(-|–|,| to| and| or) ?\(?(\d+)", others):
            numbers |= set(range(last, int(number) + 1)) if between in ("-", "–", " to") else {int(number)}
            last = int(number)
        found |= numbers
    return found


def text_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("# eq. 4", {4}), ("eqs. 5-8 and 20", {5, 6, 7, 8, 20}), ("eqs. 2 to 4, 9", {2, 3, 4, 9}),
        ("(eq. 4), in 3 steps; eq. 7, 40 units", {4, 7}), ("eqs. (9) and (10)", {9, 10}), ("Eq. 1 of two: eq. 26.", {1, 26}),
    ],
)  # fmt: skip
def test_citations_are_read(text, numbers):
    assert cited(text) == numbers


def test_the_sheet_prints_every_number_in_order():
    assert sorted(set(PRINTED)) == list(range(1, 28)) and PRINTED == sorted(PRINTED)


@pytest.mark.parametrize("folder", ["tinymaml", "lessons", "tests", "README.md"])
def test_every_cited_equation_is_on_the_sheet(folder):
    top = ROOT / folder
    files = [top] if top.is_file() else [path for path in top.rglob("*") if path.suffix in (".py", ".md", ".ipynb")]
    missing = {path.relative_to(ROOT).as_posix(): cited(text_of(path)) - set(PRINTED) for path in files if path != Path(__file__)}
    assert not {file: numbers for file, numbers in missing.items() if numbers}
    assert set.union(*(cited(text_of(path)) for path in files))


LESSONS = {path.stem[:2]: text_of(path) for path in sorted((ROOT / "lessons").glob("[01]*.ipynb"))}
GLOSSARY = re.findall(r"^\| (?!word|---)(.*?) \| .* \| (.*?) ?\|$", SHEET.partition("## Glossary")[2], re.MULTILINE)


def test_every_equation_is_in_a_lesson():
    shown = set.union(*(cited(text) | {int(n) for n in re.findall(r"\\tag\{(\d+)\}", text)} for text in LESSONS.values()))
    assert shown >= set(PRINTED)


@pytest.mark.parametrize(("words", "lessons"), GLOSSARY)
def test_every_word_of_the_glossary_has_its_lessons(words, lessons):
    """The first word before a comma or parenthesis stands in one of them, in some form."""
    first = re.split(r",| \(", words)[0].replace("$", "").lower()
    plain = " ".join(" ".join(LESSONS[number] for number in lessons.split(", ")).lower().split())
    assert any(form in plain for form in (first, first.removesuffix("s"), first[:-4]))
