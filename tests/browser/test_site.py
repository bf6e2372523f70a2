"""Lesson 05 in a real browser: a site that asks no other host is built, and every cell of the lesson runs in Chromium.

All lessons, from the project's folder:

    .venv/bin/python lessons/teach.py site SITE --offline WHEELS && node tests/browser/lessons.mjs SITE

It needs the extra `site`, Chromium, Node with playwright-core (`npm install --prefix tests/browser playwright-core`), and the
wheels of Pyodide, whose folder the variable PYODIDE_WHEELS names.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import exercises
import pytest
import teach

HERE, LESSON = Path(__file__).parent, "05_gradient_by_gradient.ipynb"
WHEELS = Path(os.environ.get("PYODIDE_WHEELS") or "no wheels")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "no chromium"
MISSING = [name for name, there in {
    "Chromium": Path(CHROMIUM).exists(), "Node": shutil.which("node"), "npm": shutil.which("npm"),
    "playwright-core (npm install --prefix tests/browser playwright-core)": (HERE / "node_modules" / "playwright-core").exists(),
    "JupyterLite (pip install '.[site]')": find_spec("jupyterlite_core") and find_spec("jupyterlite_pyodide_kernel"),
    "the wheels of Pyodide (PYODIDE_WHEELS)": WHEELS.is_dir(),
}.items() if not there]  # fmt: skip
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")

FIRST_ORDER = """def one_step(model, theta, support, query, inner_lr):
    copy = theta - inner_lr * model.at(theta, *support).gradient
    return model.at(copy, *query).gradient
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "site"
    subprocess.run([sys.executable, teach.LESSONS / "teach.py", "site", folder, "--offline", WHEELS], check=True)
    return folder


def test_the_first_page_links_every_lesson_and_warns_of_the_download(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    assert all(f"lab/index.html?path={path.name}" in page for path in teach.notebooks()) and "some 40 MB" in page
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 70e6


def test_a_lesson_runs_and_judges_answers_and_asks_no_other_host(site, tmp_path):
    """Under a path of its own, with service workers blocked, as some schools have it."""
    right = {"number": "5.1", "source": exercises.of_number("5.1").solution, "says": "Exercise 5.1 is right."}
    wrong = {"number": "5.1", "source": FIRST_ORDER, "says": "this is first-order MAML: the curvature term is missing"}
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({LESSON: [wrong, right]}))
    command = ["node", HERE / "lessons.mjs", site, "--answers", answers, "--sub", "course", "--no-workers", LESSON]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env={**os.environ, "CHROMIUM": CHROMIUM})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 requests elsewhere" in done.stdout


@pytest.mark.parametrize("lesson", ["02", "05", "07"])
def test_no_slide_is_cut_off(lesson, tmp_path):
    subprocess.run([sys.executable, teach.LESSONS / "teach.py", "slides", lesson, tmp_path / "slides.html"], check=True)
    command = ["node", HERE / "slides.mjs", tmp_path / "slides.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, "CHROMIUM": CHROMIUM})
    assert done.returncode == 0, done.stdout + done.stderr
