"""Each lesson as one file that asks for nothing: a page to read and print, and slides of it.

    python lessons/teach.py pages FOLDER           NN_name.html, and NN_name.pdf where there is Chromium
    python lessons/teach.py slides LESSON FILE     the slides of lesson 05, say

The formulas are set by MathJax, the slides shown by reveal.js, both from npm and written into the file.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import teach
from nbconvert.filters import markdown2html
from publish import MATHJAX, REVEAL, empty, npm
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

FORMATTER = HtmlFormatter(nowrap=True, style="default")
SHEETS = "reference", "failure_signatures"  # beside the lessons, and linked by them
SIZE = 1280, 720  # pixels of a slide
LINES = 19  # of text on a slide; what is higher all the same is shown smaller

LOOKS = f"""
body {{ color: #222; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.4em 0; }}
pre.code, .highlight pre {{ background: #f5f5f5; border-left: 3px solid #bbb; padding: 0.5em 0.8em; }}
pre.out {{ padding: 0.1em 0.95em; color: #333; }}
img {{ max-width: 100%; height: auto; }} a.anchor-link {{ display: none; }}
table {{ border-collapse: collapse; margin: 0.6em auto; }}
td, th {{ border-bottom: 1px solid #ccc; padding: 0.25em 0.7em; text-align: left; }}
details {{ margin: 0.5em 0; }} summary {{ cursor: pointer; color: #0b5394; }}
code {{ background: #f2f2f2; }} pre code {{ background: none; }} .together {{ white-space: nowrap; }}
{HtmlFormatter(style="default").get_style_defs("pre")}
"""
PAGE = """
body { font: 17px/1.5 system-ui, sans-serif; max-width: 54em; margin: 2em auto; padding: 0 1em; }
pre { font-size: 0.76em; line-height: 1.4; }
@media print {
  body { font-size: 11pt; margin: 0; max-width: none; }
  pre.code, img, table { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""
SLIDES = """
.reveal { font: 26px/1.4 system-ui, sans-serif; }
.reveal section { text-align: left; }
.reveal pre { font-size: 0.72em; line-height: 1.3; width: auto; }
.reveal pre.code, .reveal pre.out { box-shadow: none; }
.reveal img { max-height: 430px; display: block; margin: 0.3em auto; }
.reveal h1 { font-size: 1.9em; }
.reveal h2 { font-size: 1.5em; }
.reveal h3 { font-size: 1.15em; }
.reveal table { font-size: 0.85em; }
.reveal .slides section .fit { transform-origin: top left; }
.reveal .figure { display: flex; flex-direction: column; height: 700px; }
.reveal .figure img { flex: 1 1 0; min-height: 300px; max-height: none; width: 100%; margin: 0; object-fit: contain; }
"""
FORMULAS = 'MathJax = {tex: {inlineMath: [["$", "$"]], processEscapes: true}, options: {enableMenu: false}};'
FITTED = """
MathJax.startup.promise.then(() => Reveal.initialize({width: W, height: H, margin: 0.04, center: false, hash: true,
  slideNumber: true, transition: "none", controls: false})).then(() => {
  for (const slide of document.querySelectorAll(".reveal .slides section .fit")) {
    const hidden = getComputedStyle(slide.parentElement).display === "none";
    if (hidden) slide.parentElement.style.display = "block";
    let scale = Math.min(1, (H - 20) / slide.scrollHeight, (W - 20) / slide.scrollWidth);
    const shrink = () => Object.assign(slide.style, {transform: `scale(${scale})`, width: `${100 / scale}%`});
    if (scale < 1) shrink();
    const high = () => slide.getBoundingClientRect().height / Reveal.getScale() > H - 16;
    for (let k = 0; k < 8 && scale < 1 && high(); k++) scale *= 0.96, shrink();
    if (hidden) slide.parentElement.style.display = "";
  }
  Reveal.sync();
  document.body.dataset.ready = "yes";
});
"""


def markdown(source: str) -> str:
    """HTML in which a formula and the full stop behind it stay on one line."""
    together = lambda text: re.sub(r"(?<!\$)\$[^$]+\$(?!\$)[.,;:!?)]+", r'<span class="together">\g<0></span>', text[0])
    return re.sub(r">[^<]+", together, markdown2html(source))  # in the text: a heading has its formula in an attribute, too


def code(cell: dict, outputs: bool = True) -> Iterator[str]:
    """The source of a code cell and, each by itself, its outputs."""
    yield f'<pre class="code">{highlight(cell["source"], PythonLexer(), FORMATTER).rstrip()}</pre>'
    for output in cell["outputs"] if outputs else []:
        data = output.get("data", {})
        if "image/png" in data:
            text = html.escape(cell["metadata"].get("alt", ""), quote=True)
            width = output.get("metadata", {}).get("image/png", {}).get("width")
            size, picture = f' width="{width}"' if width else "", "".join(data["image/png"]).strip()
            yield f'<img alt="{text}"{size} src="data:image/png;base64,{picture}">'
        elif text := output.get("text") or data.get("text/plain"):
            yield f'<pre class="out">{html.escape("".join(text).rstrip())}</pre>'


def document(title: str, looks: str, body: str, *scripts: str) -> str:
    """One HTML file that asks for nothing."""
    closed = [script.replace("</script", "<\\/script") for script in scripts]
    inside = "\n".join(f"<script>{script}</script>" for script in closed)
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
            f"<style>{LOOKS}{looks}</style>\n{inside}\n</head>\n<body>\n{body}\n</body>\n</html>\n")  # fmt: skip


# -- pages -----------------------------------------------------------------------------------------------------------


def pages(folder: Path) -> None:
    """Every lesson and sheet as one HTML file, and as a PDF where there is Chromium."""
    empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        mathjax = (npm(f"mathjax@{MATHJAX}", Path(made)) / "es5" / "tex-svg.js").read_text(encoding="utf-8")
    parts = lambda cell: [markdown(cell["source"])] if cell["cell_type"] == "markdown" else code(cell)
    bodies = {path.stem: [part for cell in teach.read(path) for part in parts(cell)] for path in teach.notebooks()}
    bodies |= {name: [markdown((teach.LESSONS / f"{name}.md").read_text(encoding="utf-8"))] for name in SHEETS}
    for name, body in bodies.items():
        page = document(name, PAGE, linked("\n".join(body), set(bodies)), FORMULAS, mathjax)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--virtual-time-budget=20000"]
    for page in sorted(folder.glob("*.html")) if chromium else []:
        command = [chromium, *options, f"--print-to-pdf={page.with_suffix('.pdf').resolve()}", page.resolve().as_uri()]
        subprocess.run(command, capture_output=True, timeout=180, check=True)
    print(f"{len(bodies)} pages in {folder}{'' if chromium else '; no PDF, since there is no Chromium'}")


def linked(body: str, pages: set[str]) -> str:
    """Links to lessons and sheets lead to their pages; what else is beside them in the project is no link here."""
    body = re.sub(rf'href="({"|".join(pages)})\.(?:ipynb|md)', r'href="\1.html', body)
    return re.sub(r'<a href="(?!https?:|#|\w+\.html)[^"]*">(.*?)</a>', r"\1", body)


# -- slides ----------------------------------------------------------------------------------------------------------


@dataclass
class Slide:
    """Parts of HTML that are shown together, and their height in lines of text, roughly."""

    parts: list[str] = field(default_factory=list)
    lines: float = 0

    def add(self, part: str, lines: float) -> None:
        self.parts.append(part)
        self.lines += lines


def slides(lesson: str, file: Path) -> None:
    """The slides of the lesson with this number as one HTML file."""
    found = [path for path in teach.notebooks() if path.stem[:2] == lesson.zfill(2)]
    if not found:
        raise ValueError(f"there is no lesson {lesson!r}: name one of {', '.join(path.stem[:2] for path in teach.notebooks())}")
    with tempfile.TemporaryDirectory() as made:
        mathjax = (npm(f"mathjax@{MATHJAX}", Path(made)) / "es5" / "tex-svg.js").read_text(encoding="utf-8")
        reveal = npm(f"reveal.js@{REVEAL}", Path(made)) / "dist"
        looks = (reveal / "reveal.css").read_text(encoding="utf-8") + SLIDES
        program = (reveal / "reveal.js").read_text(encoding="utf-8")
    shown = slides_of(teach.read(found[0]))
    kind = lambda slide: "fit figure" if slide.parts[0].startswith("<img") else "fit"  # a figure takes what its sentence leaves
    sections = "\n".join(f'<section><div class="{kind(slide)}">{"".join(slide.parts)}</div></section>' for slide in shown)
    start = f"const [W, H] = [{SIZE[0]}, {SIZE[1]}];{FITTED}"
    body = f'<div class="reveal"><div class="slides">\n{linked(sections, set())}\n</div></div>\n<script>{start}</script>'
    file.write_text(document(found[0].stem, looks, body, FORMULAS, mathjax, program), encoding="utf-8")
    print(f"{len(shown)} slides in {file}")


def slides_of(cells: list[dict]) -> list[Slide]:
    """A heading begins a slide, and so does what has no room; a figure stands with its sentence."""
    made, picture = [Slide()], None
    for i, cell in enumerate(cells):
        if left_out(cell, i, cells):
            continue
        if cell["cell_type"] == "code":
            parts = list(code(cell))
            text = [part for part in parts if not part.startswith("<img")]  # the code, with what it prints
            lines = sum(0.78 * part.count("\n") + 1.3 for part in text)
            room(made, lines).add("".join(text), lines)
            picture = next((part for part in parts if part.startswith("<img")), picture)
            if "exercise" in teach.tags(cell):  # what it asks for is on the next one
                made.append(Slide())
            continue
        for block in blocks(cell["source"]):
            lines = height(block)
            if picture and block.startswith(teach.FIGURE):  # with its sentence, on a slide of its own
                made.append(Slide([picture, markdown(block)], LINES))
                picture = None
                continue
            if re.match(r"#{1,3} ", block):
                made.append(Slide())
            room(made, lines).add(markdown(block), lines)
        if "**Predict.**" in cell["source"]:
            made.append(Slide())
    if picture:
        made.append(Slide([picture], LINES))
    return [slide for slide in made if slide.parts]


def room(made: list[Slide], lines: float) -> Slide:
    """The last slide, or a new one if so many lines have no room on it."""
    only_a_heading = len(made[-1].parts) <= 1 and made[-1].lines <= 2
    if made[-1].lines + lines > LINES and not only_a_heading:
        made.append(Slide())
    return made[-1]


def left_out(cell: dict, i: int, cells: list[dict]) -> bool:
    """Checks, solutions, hints, notation, set-up, cells that only import, and what is asked at home."""
    source = cell["source"].strip()
    if cell["cell_type"] == "markdown":
        return source.startswith(("<details", "## Questionnaire", "## References")) or "solution" in teach.tags(cell)
    first = next(k for k, other in enumerate(cells) if other["cell_type"] == "code")
    lines = [line for line in source.splitlines() if line.strip()]
    imports = all(line.startswith(("import ", "from ")) for line in lines)
    return i == first or imports or source.startswith("my_prediction") or bool({"check"} & set(teach.tags(cell)))


def blocks(source: str) -> list[str]:
    """Paragraphs, headings, lists, tables and displayed formulas of a Markdown text, without what is folded."""
    source = re.sub(r"<details>.*?</details>", "", source, flags=re.DOTALL)
    source = re.split(r"^## (?:Questionnaire|References)", source, flags=re.MULTILINE)[0]
    source = re.sub(r"(^#+ .*$)", r"\n\1\n", source, flags=re.MULTILINE)
    found, fenced = [], False
    for block in (part.strip("\n") for part in re.split(r"\n\s*\n", source)):
        a_list = re.match(r"[-*] |\d+\. ", block) and found and not found[-1].startswith("#")  # stays with its sentence
        if fenced or a_list:
            found[-1] += f"\n\n{block}"
        elif block.strip():
            found.append(block)
        fenced ^= block.count("```") % 2 == 1
    return found


def height(block: str) -> float:
    """Lines that a block takes on a slide, roughly."""
    if block.startswith("#"):
        return 1.8
    if block.startswith("```"):
        return 0.8 * block.count("\n") + 1
    rows = block.splitlines()
    if rows[0].startswith("|"):
        return 1.25 * sum(1 + len(re.sub(r"\\[a-z]+|[$\\{}]", "", row)) // 110 for row in rows)
    math = 1.6 * block.count("$$") / 2
    words = lambda text: re.sub(r"\\[a-z]+|[$\\{}]|\]\([^)]*\)", "", text)
    return sum(1 + len(words(text)) // 92 for text in re.split(r"\n(?=[-*\d])", block)) + math + 0.5


__all__ = ["blocks", "pages", "slides", "slides_of"]
