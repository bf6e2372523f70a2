"""Damaged checkpoints: each of some hundred is refused in one sentence, or is a harmless change and loads as it was.

`python tests/experiment/test_faults_files.py 4000` tries so many and counts what ended otherwise.
"""

import io
import json
import os
import random
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinymaml.experiment import checkpoint
from tinymaml.experiment.options import settings_for
from tinymaml.experiment.run import load_run, run
from tinymaml.tasks import omniglot_archive
from tinymaml.tasks.omniglot import load

SETTINGS = settings_for("planes", iterations=3, hidden=(3,), tasks=2, queries=2, steps=2)
NONSENSE = (
    None, True, False, -1, 0.5, float("nan"), float("-inf"), 2**200, 10**400, "", "x", "1", "a\nb", [], [1], [[]], [None],
    {}, {"x": 1}, {"bit_generator": "PCG64"}, [2**70], [-1, 3],
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a good checkpoint."""
    path = tmp_path_factory.mktemp("whole") / "maml.npz"
    run(SETTINGS, path, progress=False)
    return path.read_bytes()


def parts(whole):
    with zipfile.ZipFile(io.BytesIO(whole)) as stored:
        return {name: stored.read(name) for name in stored.namelist()}


def archive(parts):
    """A zip file whose own sums are right, whatever its parts are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as stored:
        for name, content in parts.items():
            stored.writestr(name, content)
    return out.getvalue()


def member(array):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=True)
    return out.getvalue()


def with_facts(whole, change):
    """With the facts that `change(facts)` leaves or returns."""
    found = parts(whole)
    facts = json.loads(str(np.load(io.BytesIO(found["facts.npy"]))))
    changed = change(facts)
    return archive(found | {"facts.npy": member(json.dumps(facts if changed is None else changed))})


def places(facts, above=()):
    """The path of every field, those of fields within fields too."""
    for key, value in facts.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


# -- damages: each is (whole, draw) -> the bytes of another file ----------------------------------------------


def flipped(whole, draw):
    """One to three bits, of anything or of the directory at the end."""
    data = bytearray(whole)
    first = draw.choice([0, whole.index(b"PK\x01\x02")])
    for _ in range(draw.randint(1, 3)):
        data[draw.randrange(first, len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def cut(whole, draw):
    """An end, a beginning or a middle is missing, or is all zeros, or stands there twice."""
    a, b = sorted(draw.sample(range(len(whole)), 2))
    return draw.choice([
        whole[:a], whole[a:], whole[:a] + whole[b:], whole[:a] + bytes(b - a) + whole[b:], whole[:b] + whole[a:],
        whole + whole[:a],
    ])  # fmt: skip


def fact(whole, draw):
    """One field of the facts is nonsense, or is not there."""

    def change(facts):
        *above, last = draw.choice(list(places(facts)))
        for key in above:
            facts = facts[key]
        if draw.random() < 0.1:
            facts[draw.choice(["x", "a\nb", "\x1b[1m", 500 * "x"])] = draw.choice(NONSENSE)
        elif draw.random() < 0.1:
            del facts[last]
        else:
            facts[last] = draw.choice(NONSENSE)

    return with_facts(whole, change)


def all_facts(whole, draw):
    """All facts are nonsense, or no JSON, or no text."""
    deep = '{"format":' + "[" * 100_000
    text = draw.choice([*(json.dumps(each) for each in NONSENSE), deep, "{", "\ud800", "1" * 5000])
    content = draw.choice([text, np.array([text, text]), 3.0, np.array([], float)])
    try:
        return archive(parts(whole) | {"facts.npy": member(content)})
    except UnicodeEncodeError:
        return archive(parts(whole) | {"facts.npy": member("")})


def array(whole, draw):
    """One array is missing, has another name, another shape or type, or holds what is not finite."""
    found = parts(whole)
    name = draw.choice([each for each in found if each != "facts.npy"])
    content = found.pop(name)
    value = np.load(io.BytesIO(content))
    spoilt = value.astype(float)
    spoilt.reshape(-1)[draw.randrange(value.size)] = draw.choice([np.nan, np.inf, -np.inf])
    others = [
        spoilt, spoilt.astype(value.dtype) if value.dtype.kind == "f" else spoilt, value[None], value.reshape(-1, 1, 1),
        value.reshape(-1)[:-1], np.append(value, value.reshape(-1)[0]), np.zeros(0), value.astype(complex), value.astype(str),
        value.astype(np.int8), value.astype(np.float16), value.astype(">f4"), value.astype(bool), value.astype(object),
        np.zeros(3, [("a", "f4"), ("b", "i4")]), np.array("2020-01-01", "M8[D]"), np.zeros((0, 5)),
    ]  # fmt: skip
    kind = draw.randrange(len(others) + 4)
    if kind < len(others):
        found[name] = member(others[kind])
    elif kind == len(others):  # another name
        names = ["theta/W9.npy", "theta/.npy", "x.npy", "losses/x.npy", "optimizer.npy", "a/b/c.npy", "../W1.npy"]
        names += ["theta/a\nb.npy", "theta/\x1b[1m.npy", "optimizer/" + 500 * "x"]
        found[draw.choice(names)] = content
    elif kind == len(others) + 1:  # one more
        found[name], found["theta/W3.npy"] = content, member(np.zeros((3, 3), np.float32))
    elif kind == len(others) + 2:  # in another order, which is harmless
        found[name] = content
    return archive(found)


def header(whole, draw):
    """An npy header is changed, and the zip file is right about it."""
    found = parts(whole)
    name = draw.choice(list(found))
    content = found[name]
    if draw.random() < 0.5:
        data = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(100)] = draw.randrange(256)
        return archive(found | {name: bytes(data)})
    text = draw.choice([
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000000000000000000, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8)}",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000000,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<q9', 'fortran_order': 3, 'shape': (0,)}", "{'descr': " + "(" * 3000, "(" * 9000, "-" * 9000 + "1",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2L,)}", "0or", "\\", "{}", "", "'\\N{x}'",
        "\t\n  1\n 2", "x" * 60_000,
    ])  # fmt: skip
    head = text.encode("latin1") + b"\n"
    return archive(found | {name: b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + content[128:]})


def claimed(whole, draw):
    """A field of the zip directory says something else: sizes, offsets, flags, methods."""
    data, at = bytearray(whole), whole.index(b"PK\x01\x02")
    for _ in range(draw.randrange(6)):
        at = whole.find(b"PK\x01\x02", at + 1) if whole.find(b"PK\x01\x02", at + 1) > 0 else at
    field, length = draw.choice([(6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (42, 4)])
    value = draw.choice([0, 1, 8, 12, 99, (1 << 8 * length) - 1, draw.randrange(1 << 8 * length)])
    data[at + field:at + field + length] = (value % (1 << 8 * length)).to_bytes(length, "little")
    return bytes(data)


DAMAGES = (flipped, cut, fact, fact, array, header, claimed, all_facts)


def ending(path, whole, good):
    """What became of the file: "refused", "equal", or, told as it was, anything else."""
    try:
        state, _ = load_run(path)
    except (ValueError, FileNotFoundError) as error:
        plain = "\n" not in str(error) and str(path) in str(error) and len(str(error)) < 600
        return "refused" if plain else f"not a sentence: {error!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    alike = (
        state.iteration == good.iteration
        and list(state.theta) == list(good.theta) and np.array_equal(state.theta.flat, good.theta.flat)
        and state.theta.dtype == good.theta.dtype
        and all(np.array_equal(state.optimizer[name], good.optimizer[name]) for name in good.optimizer)
        and state.generator == good.generator and np.array_equal(state.losses, good.losses)
    )  # fmt: skip
    return "equal" if alike else "another state"


def endings(whole, count, seed=0):
    """The endings of `count` damages of each kind in turn, counted, with the first damage that ended so."""
    draw, found, example = random.Random(seed), Counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.npz"
        path.write_bytes(whole)
        good, _ = load_run(path)
        for number in range(count):
            damage = DAMAGES[number % len(DAMAGES)]
            path.write_bytes(damage(whole, draw))
            got = ending(path, whole, good)
            found[got] += 1
            example.setdefault(got, f"{damage.__name__}, number {number}")
    return found, example


def test_a_damaged_checkpoint_is_refused_in_a_sentence_or_loads_as_it_was(whole):
    found, example = endings(whole, 320)
    assert found.keys() <= {"refused", "equal"}, example
    assert found["refused"] > 200


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda facts: facts.update(format="x"), "it is a 'x' and this version reads 'tinymaml checkpoint 4'"),
    (lambda facts: facts["settings"].pop("shots"), "settings are not valid here .they belong to another version"),
    (lambda facts: facts["settings"].update(more=1), "settings are not valid here .* unexpected keyword argument 'more'"),
    (lambda facts: facts["settings"]["options"].pop("steps"), "settings are not valid here .they belong to another version"),
    (lambda facts: facts["settings"].update(hidden="ab"), "settings are not valid here .hidden is 'ab'"),
])  # fmt: skip
def test_a_whole_file_of_another_version_is_refused(whole, tmp_path, change, sentence):
    path = tmp_path / "maml.npz"
    body = with_facts(whole, lambda facts: change(facts) and None)
    path.write_bytes(body + checkpoint.checksum(body))
    with pytest.raises(ValueError, match=sentence):
        load_run(path)


def test_numpy_reads_a_checkpoint_too(whole, tmp_path):
    (tmp_path / "maml.npz").write_bytes(whole)
    with np.load(tmp_path / "maml.npz", allow_pickle=False) as stored:
        assert stored["theta/W1"].shape == (10, 3)


# -- Omniglot -----------------------------------------------------------------------------------------------


def omniglot_folder(folder):
    """One character, two drawings, unpacked; and what is read of it."""
    place = folder / "images_background" / "Greek" / "character01"
    place.mkdir(parents=True)
    for number in (1, 2):
        ink = np.random.default_rng(number).random((105, 105)) < 0.1
        Image.fromarray(~ink).save(place / f"0001_0{number}.png")
    return load(folder)


@pytest.fixture
def tiny(monkeypatch):
    """A set of one character with two drawings."""
    monkeypatch.setattr(omniglot_archive, "SETS", {"images_background": 1})
    monkeypatch.setattr(omniglot_archive, "DRAWINGS", 2)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kind", [
    "shape", "rank", "float", "int", "blank", "empty", "no stamp", "number as stamp", "no images", "compressed", "pickle", "huge",
])  # fmt: skip
def test_a_cache_that_holds_no_images_is_made_anew(tmp_path, kind):
    images = omniglot_folder(tmp_path)
    cache = tmp_path / "images_background_28x28.npz"
    good = cache.read_bytes()
    with np.load(cache) as stored:
        kept = dict(stored)
    other = {
        "shape": images[..., :-1], "rank": images[0], "float": images / 255, "int": images.astype(int) * 1000,
        "blank": 0 * images, "empty": images[:0], "pickle": images.astype(object),
    }  # fmt: skip
    if kind in other:
        kept["images"] = other[kind]
    kept = {name: array for name, array in kept.items() if kind != f"no {name}"}
    if kind == "number as stamp":
        kept["stamp"] = np.array([1.0, 2.0])
    (np.savez_compressed if kind == "compressed" else np.savez)(cache, **kept)
    if kind == "huge":
        head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 2, 784)}\n"
        found = parts(good) | {"images.npy": b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head}
        cache.write_bytes(archive(found))
    np.testing.assert_array_equal(load(tmp_path), images)
    assert parts(cache.read_bytes()) == parts(good)


@pytest.mark.usefixtures("tiny")
def test_a_damaged_cache_never_gives_other_images(tmp_path):
    images, draw = omniglot_folder(tmp_path), random.Random(0)
    cache = tmp_path / "images_background_28x28.npz"
    good = cache.read_bytes()
    for number in range(60):
        cache.write_bytes((flipped, cut, claimed)[number % 3](good, draw))
        np.testing.assert_array_equal(load(tmp_path), images)


@pytest.mark.usefixtures("tiny")
@pytest.mark.skipif(os.name == "nt", reason="Windows has none of these")
@pytest.mark.parametrize("kind", ["fifo", "directory", "dangling link", "link to a device", "link to itself"])
@pytest.mark.parametrize("place", ["drawing", "archive", "cache"])
def test_what_is_no_regular_file_is_never_opened(tmp_path, kind, place):
    images = omniglot_folder(tmp_path)
    cache = tmp_path / "images_background_28x28.npz"
    odd = {
        "drawing": tmp_path / "images_background" / "Greek" / "character01" / "0001_02.png",
        "archive": tmp_path / "images_background.zip", "cache": cache,
    }[place]  # fmt: skip
    odd.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(odd)  # whoever opens it waits for ever
    elif kind == "directory":
        odd.mkdir()
    else:
        odd.symlink_to({"dangling link": tmp_path / "nowhere", "link to a device": "/dev/zero", "link to itself": odd}[kind])
    if place == "drawing":  # it is left out
        with pytest.raises(ValueError, match=r"holds 1 drawings .* of 1 characters, expected 2 of each of 1"):
            load(tmp_path)
    elif place == "archive" and kind == "directory":  # which is preferred to the folder without .zip
        with pytest.raises(ValueError, match=r"images_background\.zip holds 0 drawings"):
            load(tmp_path)
    elif place == "cache" and kind == "directory":
        with pytest.warns(UserWarning, match="cannot be cached"):
            np.testing.assert_array_equal(load(tmp_path), images)
    else:
        np.testing.assert_array_equal(load(tmp_path), images)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maml.npz"
        run(SETTINGS, path, progress=False)
        found, example = endings(path.read_bytes(), int(sys.argv[1]) if len(sys.argv) > 1 else 4000, seed=1)
    for got, count in found.most_common():
        print(f"{count:6}  {got}  ({example[got]})")
