"""The code of the README, and of the two docstrings it names, works as it stands, and its links lead somewhere."""

import re
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from tinymaml import methods, tasks
from tinymaml.methods import METHODS
from tinymaml.settings import Settings
from tinymaml.tasks import FAMILIES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
FILES = {name: dedent(package.__doc__.partition(":\n\n")[2]) for name, package in {"family": tasks, "method": methods}.items()}


@pytest.fixture(scope="module")
def names():
    """What all blocks leave behind; one namespace, as in a notebook, and a shorter outer loop."""
    names = {}
    for block in BLOCKS:
        exec(block.replace("range(1000)", "range(20)"), names)
    return names


def test_the_code_runs_and_the_checks_accept_it(names):
    assert {"theta_1", "derivation", "Slope", "Sine"} <= names.keys()


@pytest.mark.parametrize("test", ["test_my_layer", "test_my_model"])
def test_the_property_tests_pass_and_find_a_lost_factor(test, names, monkeypatch):
    names[test]()
    monkeypatch.setitem(names, "right", lambda model, *drawn: wrong(names, model, *drawn))
    with pytest.raises(AssertionError):
        names[test]()


def wrong(names, model, theta, v, batch):
    gradient = model.at(theta, batch.x_support, batch.y_support).gradient
    loss = lambda theta: model.at(theta, batch.x_support, batch.y_support).loss.sum()
    twice = 2 * gradient.map(lambda array: array.sum(0)).dot(v)
    assert names["relative_error"](twice, names["complex_step"](loss, theta, v)) < 1e-9


def test_the_examples_of_a_method_and_a_family_work_together(names):
    family, method = {}, {}
    exec(FILES["family"], family)
    exec(FILES["method"], method)
    family, method = family["FAMILY"], method["METHOD"]
    assert family.name not in {each.name for each in FAMILIES} and method.name not in {each.name for each in METHODS}
    settings = Settings("lines", "half", hidden=(5,), options={"steps": 1})
    sample = lambda rng: family.training(settings).sample(rng, tasks=3, shots=2, queries=2, dtype="float32")
    assert sample(np.random.default_rng(0)).x_query.dtype == np.float32
    model, rng = names["MLP"]([1, 5, 1]), np.random.default_rng(0)
    found = method.gradient(model, settings)(model.init(rng, "float32"), sample(rng), 0)
    assert np.isfinite(found.loss) and np.isfinite(found.gradient.flat).all()


def test_every_link_and_every_path_exists():
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", README) if not link.startswith("http")]
    paths = re.findall(r"`((?:tinymaml|lessons|tests)/[\w./]*)`", README)
    assert len(links) > 10 and "tests/nn/test_own_layers.py" in paths
    assert [path for path in (*links, *paths) if not (ROOT / path).exists()] == []


def test_every_method_is_in_the_list():
    listed = re.search(r"`compare --methods NAME,NAME`: (.*?); for instance", README, re.DOTALL).group(1)
    assert {method.name for method in METHODS} <= set(re.findall(r"`([\w-]+)`", listed.replace("\n", " ").replace("[", "")))


def test_the_table_of_rooms_is_in_reading_order():
    rooms = re.findall(r"^\| `([\w.]+)/?` \|", README, re.MULTILINE)
    docstring = (ROOT / "tinymaml" / "__init__.py").read_text(encoding="utf-8")
    order = [docstring.index(f"    {room}") for room in rooms if f"    {room}" in docstring]
    assert order == sorted(order) and len(order) == len(rooms)
    there = {path.name for path in (ROOT / "tinymaml").iterdir() if not path.name.startswith("__")}
    assert there == set(rooms)
