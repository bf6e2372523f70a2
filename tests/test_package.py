"""The installed package: every room is in it, and nothing but its own dependencies is imported."""

import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinymaml"
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

IMPORT_ALL = """
import importlib, pkgutil, sys, tinymaml
for module in pkgutil.walk_packages(tinymaml.__path__, "tinymaml."):
    if module.name != "tinymaml.check.strategies":  # for property tests: it needs hypothesis
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_every_folder_with_code_is_a_package_that_setuptools_finds():
    rooms = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in PACKAGE.rglob("*.py")}
    assert len(rooms) > 8 and all((ROOT / room.replace(".", "/") / "__init__.py").exists() for room in rooms)
    assert SETUP["tool"]["setuptools"]["packages"] == {"find": {"include": ["tinymaml*"]}}


@pytest.mark.skipif(find_spec("setuptools") is None, reason="setuptools is not installed here")
def test_setuptools_finds_the_rooms_and_no_tests_or_lessons():
    from setuptools import find_packages

    found = find_packages(str(ROOT), **SETUP["tool"]["setuptools"]["packages"]["find"])
    assert sorted(found) == sorted({".".join(p.parent.relative_to(ROOT).parts) for p in PACKAGE.rglob("*.py")})


def test_the_package_imports_no_jupyter_and_no_test_library():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "matplotlib" in loaded, done.stderr
    assert not loaded & {"IPython", "ipywidgets", "jupyter_core", "nbclient", "nbformat", "pytest", "hypothesis"}


def test_requirements_bring_every_extra_but_those_of_sites_and_clusters():
    extras = ",".join(sorted(SETUP["project"]["optional-dependencies"].keys() - {"site", "cluster"}))  # few need them
    assert f"-e .[{extras}]" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
