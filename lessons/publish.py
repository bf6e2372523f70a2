"""The lessons without an installation: a site that runs them in the browser, pages of one file each, slides.

    python lessons/teach.py site FOLDER                        Python comes from a public CDN, each file held to its sha256
    python lessons/teach.py site FOLDER --offline WHEELS       everything is in FOLDER, and no other host is asked
    python lessons/teach.py pages FOLDER                       each lesson as one HTML file, and as PDF where there is Chromium
    python lessons/teach.py slides LESSON FILE                 the slides of one lesson, as one HTML file

The site needs the extra `site`, and npm, from which Pyodide, MathJax and reveal.js are taken once.
"""

from __future__ import annotations

import email
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import teach

PYODIDE, MATHJAX, REVEAL = "0.27.7", "3.2.2", "5.1.0"  # of npm; Pyodide is that for which the kernel of the extra `site` is made
CDN = f"https://cdn.jsdelivr.net/pyodide/v{PYODIDE}/full/"
CORE = ("pyodide.mjs", "pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
OURS = ("exercises", "figures", "tinymaml")  # in one wheel, so that the kernel needs neither the notebook's folder nor %pip
PURE = ("tqdm", "ipywidgets==8.1.7", "comm")  # from the Python package index
EXTENSIONS = Path(sys.prefix, "share", "jupyter", "labextensions")
KERNEL, WIDGETS = "@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager"
AT_START = ["ipykernel", "comm", "pyodide-kernel", "ipython", "ipywidgets", "matplotlib", "tinymaml"]
SETTINGS = {  # of JupyterLab: its File menu has no download here, and saves after two minutes
    "@jupyterlab/notebook-extension:panel": {
        "toolbar": [{"name": "download", "label": "Download", "command": "docmanager:download", "rank": 50}]},
    "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 5, "defaultViewers": {"markdown": "Markdown Preview"}},
}  # fmt: skip
BESIDE = """<style>#home {position: fixed; top: 5px; right: 12px; z-index: 9; font: 13px sans-serif}</style>
<a id="home" href="../index.html">All lessons</a>
<script>
setInterval(() => {  // the address names the lesson that is open, so that a reload opens it again
  const path = window.jupyterapp?.shell?.currentWidget?.context?.path;
  if (path?.endsWith(".ipynb")) history.replaceState(null, "", "?path=" + encodeURIComponent(path));
}, 500);
</script>
</body>"""
NEVER = {"jupyter", "jupyterlab-widgets"}  # what needs of a wheel there are that a browser serves otherwise


def npm(package: str, folder: Path) -> Path:
    """The files of an npm package, in a new folder; OSError if there is no npm or it does not have the package."""
    if not shutil.which("npm"):
        raise OSError(f"npm is missing, from which {package} is taken: install Node.js")
    packed = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, capture_output=True, text=True)
    if packed.returncode:
        raise OSError(f"npm has no {package}: {packed.stderr.strip().splitlines()[-1] if packed.stderr.strip() else 'no answer'}")
    target = folder / package.partition("@")[0]
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


# -- the site --------------------------------------------------------------------------------------------------------


def site(folder: Path, wheels: Path | None = None) -> None:
    """Write the site into a new folder; `wheels` holds those of this Pyodide for a site that asks no other host."""
    empty(folder)
    if wheels is not None and not any(wheels.glob("numpy-*.whl")):
        raise ValueError(f"{wheels} holds no wheel of NumPy: name the folder with the wheels of Pyodide {PYODIDE}")
    kernel = EXTENSIONS / KERNEL / "static" / "pypi"
    if not kernel.exists():
        raise ValueError("JupyterLite is missing: install it with `pip install '.[site]'`")
    with tempfile.TemporaryDirectory() as made:
        lite, pure = Path(made, "lite"), Path(made, "pure")
        content = lite / "content"
        pure.mkdir()
        teach.handout(content)
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--dest", str(pure)]
        subprocess.run([*download, *PURE], check=True)
        theirs = [wheel for wheel in kernel.glob("*.whl") if "3.6.999" not in wheel.name]  # a stand-in of widgetsnbextension
        all_pure = [*pure.glob("*.whl"), our_wheel(content, pure), *theirs]
        runtime(npm(f"pyodide@{PYODIDE}", Path(made)), wheels, all_pure, lite / "static" / "pyodide")
        for name in (*OURS, "pyproject.toml", "README.md", "LICENSE"):
            path = content / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        _build(lite, folder)
    lab = folder / "lab" / "index.html"
    lab.write_text(lab.read_text(encoding="utf-8").replace("</body>", BESIDE), encoding="utf-8")
    first = folder / "index.html"
    settings = re.search(r'<script id="jupyter-config-data".*?</script>', first.read_text(encoding="utf-8"), re.DOTALL)
    first.write_text(first_page() + settings[0] + "\n", encoding="utf-8")  # JupyterLite reads the settings of all pages there
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    print(f"{folder}: {size:.0f} MB. See it: {Path(sys.executable).name} -m http.server --directory {folder}")


def _build(lite: Path, folder: Path) -> None:
    """Have JupyterLite lay out the site."""
    extensions = [str(EXTENSIONS / name) for name in (KERNEL, WIDGETS)]  # and no others that happen to be installed
    only = {"ignore_sys_prefix": ["federated_extensions"], "federated_extensions": extensions}
    options = {"contents": ["content"], "output_dir": str(folder.resolve()), "apps": ["lab"], "no_sourcemaps": True, **only}
    kernel = {"disablePyPIFallback": True, "loadPyodideOptions": {"packages": AT_START}}
    plugins = {"@jupyterlite/pyodide-kernel-extension:kernel": kernel}
    page = {"appName": "tinymaml", "exposeAppInBrowser": True, "litePluginSettings": plugins, "settingsOverrides": SETTINGS}
    (lite / "jupyter_lite_config.json").write_text(json.dumps({"LiteBuildConfig": options}))
    (lite / "jupyter-lite.json").write_text(json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": page}))
    built = subprocess.run([sys.executable, "-m", "jupyter", "lite", "build"], cwd=lite, capture_output=True, text=True)
    if built.returncode:
        raise OSError(f"JupyterLite could not build the site: {built.stderr.strip()[-300:]}")


def our_wheel(folder: Path, out: Path) -> Path:
    """One wheel of everything that the notebooks import from beside them."""
    wheel, info = out / "tinymaml-0-py3-none-any.whl", "tinymaml-0.dist-info"
    needs = "".join(f"Requires-Dist: {name}\n" for name in ("numpy", "matplotlib", "tqdm"))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        files = sorted(path for name in OURS for path in (folder / name).rglob("*") if path.is_file())
        for path in files:
            archive.write(path, path.relative_to(folder))
        record = "".join(f"{path.relative_to(folder).as_posix()},,\n" for path in files)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinymaml\nVersion: 0\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tinymaml\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", record)
    return wheel


def entry(wheel: Path) -> dict:
    """What Pyodide's lock says of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = email.message_from_bytes(archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))))
    needs = {canonical(re.match(r"[\w.-]+", need)[0]) for need in about.get_all("Requires-Dist") or [] if ";" not in need}
    imports = {name.partition("/")[0].removesuffix(".py") for name in names if name.endswith(".py") and ".data/" not in name}
    return {"name": canonical(about["Name"]), "version": about["Version"], "file_name": wheel.name, "install_dir": "site",
            "sha256": sha256(wheel), "package_type": "package", "imports": sorted(imports), "depends": sorted(needs - NEVER),
            "unvendored_tests": False}  # fmt: skip


def runtime(core: Path, wheels: Path | None, pure: Iterable[Path], out: Path) -> None:
    """Pyodide, and its lock: packages are files beside it, or addresses of the CDN, each with the sha256 of the npm package."""
    out.mkdir(parents=True)
    lock = json.loads((core / "pyodide-lock.json").read_text())
    for name in CORE:
        shutil.copy(core / name, out)
    for each in lock["packages"].values():
        if wheels is None:
            each["file_name"] = CDN + each["file_name"]
    for wheel in pure:
        shutil.copy(wheel, out)
        made = entry(wheel)
        lock["packages"][made["name"]] = made
    wanted, todo = set(), [*AT_START, "micropip", "jedi", "piplite"]
    while todo:
        if (name := canonical(todo.pop())) not in wanted:
            wanted.add(name)
            todo += lock["packages"][name]["depends"]
    if wheels is not None:
        wanted |= {"ssl", "openssl", "sqlite3"}
        lock["packages"] = {name: each for name, each in lock["packages"].items() if name in wanted}
        for name, each in lock["packages"].items():
            file = wheels / each["file_name"]
            if (out / each["file_name"]).exists():  # one of ours
                continue
            if not file.exists():
                raise ValueError(f"{wheels} lacks {each['file_name']}, which {name} is: take it from {CDN}")
            if sha256(file) != each["sha256"]:
                raise ValueError(f"{file} is not the file that the npm package pyodide {PYODIDE} names: take it again")
            shutil.copy(file, out)
    (out / "pyodide-lock.json").write_text(json.dumps(lock))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


FIRST_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>tinymaml: learning to learn, gradient by gradient</title>
<style>
body {{ font: 18px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #222; }}
li {{ margin: 0.35em 0; }} a {{ color: #0b5394; }} .ask {{ color: #555; }}
.note {{ background: #f2f2f2; padding: 0.6em 1em; border-radius: 6px; }}
</style>
<h1>Learning to learn, gradient by gradient</h1>
<p>Twelve lessons on Model-Agnostic Meta-Learning (MAML). You derive every gradient by hand, write it in NumPy, and a check
says what is wrong with it. Each lesson asks one question and trains its networks while you read.</p>
<p class="note">Nothing is installed: Python runs in this browser. The first lesson that you open loads <b>some 40 MB</b>
(26 from a server that compresses), and is ready after some 20 seconds; your browser keeps it for the next. Use a computer with
a keyboard.</p>
<h2>How it works</h2>
<ul>
<li>Run one cell after another with <kbd>Shift</kbd>+<kbd>Enter</kbd>. (The first may say that Matplotlib builds its font
cache.) If a double click shows the source of a text, click into it and press <kbd>Shift</kbd>+<kbd>Enter</kbd>.</li>
<li>Make each prediction before you run what comes after it: <code>my_prediction = "a"</code>.</li>
<li>In an exercise, replace the line <code>raise NotImplementedError(...)</code>; run the cell, and the check below it. If you
skip an exercise, the lesson goes on with the library's version. Hints are folded; solutions are not on this site.</li>
<li>If a cell does not end: menu <i>Kernel</i>, <i>Restart Kernel</i>. Then, and after a reload, Python has forgotten all
variables: menu <i>Run</i>, <i>Run All Above Selected Cell</i>. That stops at a red check: correct its answer first.</li>
<li>Your work is saved every five seconds in this browser, on this computer. A private window forgets it when it is closed. To
begin a lesson afresh, delete its notebook in the file list on the left: the name stays, and opens the original.
(<kbd>Ctrl</kbd>+<kbd>B</kbd> shows and hides the list.)</li>
<li><b>To hand in</b>, or to keep a copy: the button <i>Download</i> above the lesson.</li>
</ul>
<h2>Lessons</h2>
<ol>
{lessons}
</ol>
<p>All symbols, equations and words are on one sheet, <i>reference.md</i>: open it from the file list or from a lesson.</p>
"""


def first_page() -> str:
    """The page that tells what the course is, and links each lesson by its address."""
    rows = []
    for path in teach.notebooks():
        prose = teach.read(path)[0]["source"]
        title = re.search(r"^# \d+ · (.*)$", prose, re.MULTILINE)[1]
        question = re.sub(r"[$*`\\]", "", " ".join(re.search(r"\*\*Question\.\*\* (.*?)\n\n", prose, re.DOTALL)[1].split()))
        minutes = re.search(r"\*\*Time\.\*\* (\d+)", prose)[1]
        rows.append(f'<li><a href="lab/index.html?path={path.name}">{html.escape(title)}</a> '
                    f'<span class="ask">{html.escape(plain(question))} ({minutes} minutes)</span></li>')  # fmt: skip
    return FIRST_PAGE.format(lessons="\n".join(rows))


def plain(text: str) -> str:
    """Greek letters of LaTeX as letters."""
    return text.replace("theta'", "θ'").replace("theta", "θ").replace("alpha", "α")


def empty(folder: Path) -> None:
    """ValueError if there is something in the folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty: name a new folder")
