"""The Omniglot loader on tiny archives made here: golden pixels, a cache not to be fooled, every way to be wrong, the splits."""

import io
import json
import os
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import quick, seeds

from tinymaml import tasks
from tinymaml.experiment import checkpoint
from tinymaml.experiment.cli import main
from tinymaml.experiment.comparison import run_comparison
from tinymaml.experiment.options import settings_for_each
from tinymaml.experiment.run import model
from tinymaml.tasks import Episodes, omniglot, omniglot_archive
from tinymaml.tasks.omniglot import load, rotations, split


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Sets of three characters with two drawings."""
    monkeypatch.setattr(omniglot_archive, "SETS", {"images_background": 3, "images_evaluation": 3})
    monkeypatch.setattr(omniglot_archive, "DRAWINGS", 2)


NAMES = ("Greek/character01", "Greek/character02", "Ojibwe_(Canadian_Aboriginal_Syllabics)/character01")


def paper(number: int) -> np.ndarray:
    """A drawing like no other: 105 x 105, True where there is ink."""
    ink = np.random.default_rng(number).random((105, 105)) < 0.1
    ink[:15, :15], ink[:15, 15:] = True, False  # 15 x 15 old pixels are 4 x 4 new ones
    return ink


def shrunk(ink: np.ndarray) -> np.ndarray:
    """The 28 x 28 pixels by another road: each old pixel is 4 x 4 small ones, each new one 15 x 15 of them."""
    small = np.kron(ink, np.ones((4, 4)))
    return np.rint(255 * small.reshape(28, 15, 28, 15).mean((1, 3))).astype(np.uint8)


def png(ink: np.ndarray, mode: str = "1") -> bytes:
    out = io.BytesIO()
    Image.fromarray(~ink).convert(mode).save(out, format="PNG")
    return out.getvalue()


def files(name: str = "images_background", drawings: int = 2, first: int = 0) -> dict[str, bytes]:
    """What the archive holds, by path; the drawings are paper(first), paper(first + 1), ..."""
    paths = [f"{name}/{where}/{i:04}_{j:02}.png" for i, where in enumerate(NAMES, 1) for j in range(1, drawings + 1)]
    return {path: png(paper(number)) for path, number in zip(paths, range(first, 1000), strict=False)}


def expected(drawings: int = 2, first: int = 0) -> np.ndarray:
    images = [shrunk(paper(first + number)) for number in range(len(NAMES) * drawings)]
    return np.array(images).reshape(len(NAMES), drawings, 784)


def zipped(folder: Path, content: dict[str, bytes], name: str = "images_background.zip") -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(content, reverse=True):  # the order in the archive does not matter
            archive.writestr(path, content[path])
    return folder / name


def unpacked(folder: Path, content: dict[str, bytes]) -> Path:
    for path, data in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


# -- the images ---------------------------------------------------------------------------------------------


def test_golden_pixels():
    image = np.zeros((105, 105))
    image[0, 0] = 1  # 1 of the 3.75 x 3.75 = 14.0625 pixels under the first new one: 255 / 14.0625 = 18.1
    image[:, 3 + 15] = 1  # a column over an edge at 18.75: 0.75 and 0.25 of 3.75: 51 and 17
    image[90:, 90:] = 1
    golden = np.zeros((28, 28))
    golden[0, 0], golden[:, 4], golden[:, 5], golden[24:, 24:] = 18, 51, 17, 255
    np.testing.assert_array_equal(omniglot_archive.shrink(image), golden)


@quick
@given(seed=seeds, ink=st.floats(0, 1))
def test_each_pixel_is_the_mean_of_the_area_it_covers(seed, ink):
    image = np.random.default_rng(seed).random((105, 105)) < ink
    np.testing.assert_array_equal(omniglot_archive.shrink(image.astype(float)), shrunk(image))


def test_ink_is_one_and_paper_zero_in_the_order_of_the_names(tmp_path):
    zipped(tmp_path, files())
    found = load(tmp_path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected())
    corner = found.reshape(3, 2, 28, 28)[:, :, :4]
    assert (corner[..., :4] == 255).all() and (corner[..., 4:] == 0).all()
    batch = Episodes(found, ways=3).sample(np.random.default_rng(0), tasks=2, shots=1, queries=1)
    assert batch.x_support.max() == 1 and batch.x_support.min() == 0


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_the_drawings_may_have_been_saved_in_another_mode(tmp_path, mode):
    zipped(tmp_path, {path: png(paper(number), mode) for number, path in enumerate(files())})
    np.testing.assert_array_equal(load(tmp_path), expected())


def test_every_way_to_give_the_archives(tmp_path):
    background = zipped(tmp_path / "zips", files())
    zipped(tmp_path / "zips", files("images_evaluation", drawings=2, first=500), "images_evaluation.zip")
    folder = unpacked(tmp_path / "folders", files() | {"images_background/.DS_Store": b"", "readme.txt": b""})
    for path in (background, str(background), folder, folder / "images_background"):
        found = load(path)
        np.testing.assert_array_equal(found, expected())
        both = load(tmp_path / "zips")
    np.testing.assert_array_equal(both, np.concatenate([expected(), expected(first=500)]))


def test_extra_files_in_an_archive_are_ignored(tmp_path):
    junk = {"__MACOSX/images_background/Greek/character01/._0001_01.png": b"x", "images_background/.DS_Store": b"x"}
    zipped(tmp_path, files() | junk)
    np.testing.assert_array_equal(load(tmp_path), expected())


# -- the cache ----------------------------------------------------------------------------------------------


@pytest.fixture
def only_once(monkeypatch):
    """A list of the archives that were read."""
    read, seen = omniglot_archive._read, []
    monkeypatch.setattr(omniglot_archive, "_read", lambda *given: seen.append(given[0]) or read(*given))
    return seen


@pytest.mark.parametrize("make", [zipped, unpacked])
def test_an_archive_is_read_once(tmp_path, only_once, make):
    make(tmp_path, files())
    for _ in range(2):
        np.testing.assert_array_equal(load(tmp_path), expected())
    assert len(only_once) == 1 and (tmp_path / "images_background_28x28.npz").is_file()


@pytest.mark.parametrize("make", [zipped, unpacked])
def test_another_archive_under_the_same_name_is_read_anew(tmp_path, make):
    make(tmp_path, files(first=0))
    load(tmp_path)
    make(tmp_path, files(first=100))
    np.testing.assert_array_equal(load(tmp_path), expected(first=100))


def test_the_cache_of_another_version_is_not_used(tmp_path, monkeypatch):
    zipped(tmp_path, files())
    with monkeypatch.context() as patch:
        patch.setattr(omniglot_archive, "FORMAT", "an older one")
        patch.setattr(omniglot_archive, "shrink", lambda image: np.zeros((28, 28), np.uint8))
        assert load(tmp_path).max() == 0
    np.testing.assert_array_equal(load(tmp_path), expected())


def _damages(whole: bytes) -> list[bytes]:
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    return [b"", b"no zip", whole[:100], whole[:-1], whole[: len(whole) // 2], bytes(flipped), array.getvalue()]


def test_a_damaged_cache_is_made_again(tmp_path, only_once):
    zipped(tmp_path, files())
    load(tmp_path)
    cache = tmp_path / "images_background_28x28.npz"
    whole = cache.read_bytes()
    for times, damaged in enumerate(_damages(whole), start=2):
        cache.write_bytes(damaged)
        np.testing.assert_array_equal(load(tmp_path), expected())
        assert len(only_once) == times and cache.read_bytes() == whole


def test_a_cache_that_cannot_be_written_gives_a_warning(tmp_path, monkeypatch):
    zipped(tmp_path, files())
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.warns(UserWarning, match=r"cannot be cached in .* \(Perm.*: put the data into a folder") as said:
        found = load(tmp_path)
    assert Path(said[0].filename).name == Path(__file__).name  # it points at the line that called load
    np.testing.assert_array_equal(found, expected())


def test_a_cache_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def half(error):
        def savez(out, **arrays):
            out.write_bytes(b"half of it")
            raise error

        return savez

    zipped(tmp_path, files())
    monkeypatch.setattr(np, "savez", half(OSError("the disk is full")))
    with pytest.warns(UserWarning, match="the disk is full"):
        load(tmp_path)
    monkeypatch.setattr(np, "savez", half(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["images_background.zip"]


# -- archives that are wrong --------------------------------------------------------------------------------


def refused(path: Path, error: type, sentence: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=sentence):
            load(path)
    assert not list((path if path.is_dir() else path.parent).rglob("*.npz"))  # and nothing kept


def test_a_missing_archive(tmp_path):
    refused(tmp_path / "none", FileNotFoundError, "none is no images_background.zip or images_eval.*: get them from https")
    refused(tmp_path, FileNotFoundError, "holds no images_background.zip or images_evaluation.zip")
    (tmp_path / "other.zip").write_bytes(b"")
    refused(tmp_path / "other.zip", FileNotFoundError, "other.zip is no images_background.zip")


@pytest.mark.parametrize("part", [0, 10, 0.5, 0.99])
def test_an_archive_cut_short(tmp_path, part):
    archive = zipped(tmp_path, files())
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(part if part > 1 else part * len(whole))])
    refused(tmp_path, ValueError, r"images_background.zip is not a whole zip file \(.*\): .* download it again")


@pytest.mark.parametrize("error", [ValueError("negative seek value -1860"), zlib.error("invalid"), struct.error("short")])
def test_every_error_of_the_zip_module_names_the_archive(tmp_path, error, monkeypatch):
    zipped(tmp_path, files())
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: (_ for _ in ()).throw(error))
    refused(tmp_path, ValueError, rf"images_background.zip is not a whole zip file \({error}\): .* download it again")


@quick
@given(data=st.data())
def test_an_archive_damaged_anywhere_is_refused_in_a_sentence(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    archive = zipped(folder, files())
    damaged = bytearray(archive.read_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1), label="at")] ^= data.draw(st.integers(1, 255), label="by")
    archive.write_bytes(damaged)
    try:
        found = load(folder)
    except ValueError as error:
        assert str(archive) in str(error) and ": " in str(error)
    else:  # a byte that does not matter, or one of a name
        assert set(map(bytes, found.reshape(6, -1))) == set(map(bytes, expected().reshape(6, -1)))


def test_an_archive_of_something_else(tmp_path):
    sentence = (
        "holds 0 drawings images_background/ALPHABET/characterNN/NNNN_MM.png of 0 characters, expected 2 of each of 3: "
        "get the whole images_background.zip of https"
    )
    zipped(tmp_path, {"cats/1.png": png(paper(0))})
    refused(tmp_path, ValueError, sentence)
    zipped(tmp_path, files("images_evaluation"))
    refused(tmp_path, ValueError, sentence)
    (tmp_path / "unpacked" / "images_background").mkdir(parents=True)
    refused(tmp_path / "unpacked", ValueError, sentence)


@pytest.mark.parametrize("make", [zipped, unpacked])
@pytest.mark.parametrize(("lost", "added"), [("character02/0002_01", ""), ("character02", ""), ("_02", ""), ("02_02", "01_03")])
def test_lost_drawings(tmp_path, make, lost, added):
    content = {path: data for path, data in files().items() if lost not in path}
    if added:  # as many as expected, and one of another character
        content["images_background/Greek/character01/0001_03.png"] = png(paper(7))
    make(tmp_path, content)
    refused(tmp_path, ValueError, rf"holds {len(content)} drawings .* of [23] characters, expected 2 of each of 3: get the whole")


@pytest.mark.parametrize("part", [0, 1, 20, 200, -30])
@pytest.mark.parametrize("make", [zipped, unpacked])
def test_a_drawing_that_is_no_image(tmp_path, make, part):
    data = png(paper(0))[:part]
    make(tmp_path, files() | {"images_background/Greek/character02/0002_02.png": data})
    refused(tmp_path, ValueError, "character02/0002_02.png in .* cannot be read")


def test_a_drawing_of_another_size(tmp_path):
    zipped(tmp_path, files() | {"images_background/Greek/character01/0001_01.png": png(np.zeros((28, 28), bool))})
    refused(tmp_path, ValueError, r"0001_01.png in .* cannot be read \(its size is \(28, 28\), expected \(105, 105\)\)")


def test_an_alphabet_may_be_a_link(tmp_path):
    unpacked(tmp_path / "elsewhere", files())
    place = tmp_path / "data" / "images_background"
    place.mkdir(parents=True)
    for alphabet in (tmp_path / "elsewhere" / "images_background").iterdir():
        (place / alphabet.name).symlink_to(alphabet, target_is_directory=True)
    (place / "itself").symlink_to(place, target_is_directory=True)
    np.testing.assert_array_equal(load(tmp_path / "data"), expected())


# -- splits and rotations -----------------------------------------------------------------------------------


def numbered(count: int) -> np.ndarray:
    return np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None], (count, 2, 4))


@pytest.mark.parametrize(
    ("found", "options", "train"),
    [
        (numbered(1623), {}, 1200), (numbered(964), {}, 713), (numbered(659), {}, 487), (numbered(964), {"train": 900}, 900),
    ],
)
def test_the_split_of_the_paper(found, options, train):
    left, right = split(np.random.default_rng(0), found, **options)
    again, _ = split(np.random.default_rng(0), found, **options)
    other, _ = split(np.random.default_rng(1), found, **options)
    assert len(left) == train
    assert sorted([*left[:, 0, 0], *right[:, 0, 0]]) == list(range(len(found)))
    np.testing.assert_array_equal(left, again)
    assert not np.array_equal(left, other)


def test_rotations_are_further_classes():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    turned = rotations(images)
    assert turned.shape == (8, 3, 4) and turned.dtype == np.uint8
    np.testing.assert_array_equal(turned[:2], images)
    np.testing.assert_array_equal(turned[2, 0], [1, 3, 0, 2])  # [[0, 1], [2, 3]] turned to the left by 90 degrees
    np.testing.assert_array_equal(turned[4, 0], [3, 2, 1, 0])
    np.testing.assert_array_equal(rotations(turned[2:4])[6:], images)


# -- the family ----------------------------------------------------------------------------------------------


def test_every_method_is_compared_on_the_loaded_images(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (12, 20, 784), dtype=np.uint8)
    monkeypatch.setattr(omniglot, "load", lambda folder: images if folder == str(tmp_path) else None)
    few = replace(omniglot.FAMILY, test_tasks=3, test_queries=2)
    monkeypatch.setattr(tasks, "FAMILIES", (few,))
    runs = settings_for_each("omniglot", data=str(tmp_path), classes=6, iterations=2, hidden=(5,), tasks=2)
    found = run_comparison(runs, tmp_path, progress=False)
    assert list(found.curves) == ["maml", "first-order", "pretraining", "transfer", "scratch", "nearest", "chance"]
    assert found.starts["transfer"].batch.x_query.shape == (3, 10, 5) and found.batch.x_query.max() == 1
    assert model(runs["transfer"]).shapes["W2"] == (5, 24)  # six characters in four directions
    assert (tmp_path / "episode.png").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence_on_the_command_line(tmp_path, monkeypatch, capsys):
    named = "images_background/Greek/character0{}/1_{:02}.png"
    zipped(tmp_path / "data", {named.format(i, j): png(paper(i)) for i in range(9) for j in range(20)})

    savez = np.savez

    def refuse(out, **arrays):
        if isinstance(out, Path):  # the cache; a checkpoint is written to an open file
            raise OSError(30, "Read-only file system")
        savez(out, **arrays)

    monkeypatch.setattr(np, "savez", refuse)
    monkeypatch.setattr(omniglot_archive, "SETS", {"images_background": 9})
    monkeypatch.setattr(omniglot_archive, "DRAWINGS", 20)
    small = "--classes 5 --ways 2 --width 2 --tasks 2 --iterations 1 --quiet".split()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        where = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
        assert main(["train", "--family", "omniglot", *where, *small]) == 0
    said = capsys.readouterr().err
    assert re.fullmatch(r"tinymaml: the images cannot be cached in .*data \(Read-only file .*: put the data .*\n", said)


def test_it_cannot_be_set_up_without_its_folder():
    with pytest.raises(ValueError, match="omniglot needs --data FOLDER, the folder that holds images_background"):
        settings_for_each("omniglot")


# -- a run on files: their content is a part of what it is, and where they are is not -------------------------------------

FEW = ["--classes", "2", "--ways", "2", "--width", "4", "--tasks", "2", "--quiet"]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A run of two iterations on "archives", named so from tmp_path, the working directory."""
    monkeypatch.setattr(omniglot_archive, "DRAWINGS", 20)
    monkeypatch.chdir(tmp_path)
    zipped(tmp_path / "archives", files(drawings=20))
    assert main(["train", "--family", "omniglot", "--data", "archives", *FEW, "--iterations", "2", "--out", "run"]) == 0
    return tmp_path / "run" / "maml.npz"


def trains(folder, data, iterations, *more):
    argv = ["train", "--family", "omniglot", "--data", str(data), *FEW, "--iterations", str(iterations), "--out", str(folder)]
    return main([*argv, *more])


def test_a_run_is_evaluated_and_resumed_from_wherever_its_data_are(trained, tmp_path, monkeypatch, capsys):
    evaluate = ["evaluate", str(trained), "--tasks", "3", "--steps", "1", "--data"]
    assert main([*evaluate, "archives"]) == 0
    said = capsys.readouterr().out
    os.rename("archives", "moved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    unpacked(tmp_path / "unpacked", files(drawings=20))
    for data in ("../moved", tmp_path / "moved" / "images_background.zip", tmp_path / "unpacked"):
        assert main([*evaluate, str(data)]) == 0
        assert capsys.readouterr().out == said
    assert trains(trained.parent, "../unpacked", 4, "--resume") == 0
    assert trains(tmp_path / "whole", "../moved", 4) == 0
    assert capsys.readouterr().out.endswith("maml.npz --data ../moved\n")  # the command that it names next
    (one, settings), (other, same) = (checkpoint.load(tmp_path / name / "maml.npz") for name in ("run", "whole"))
    np.testing.assert_array_equal(one.theta.flat, other.theta.flat)
    assert settings == same


def test_a_run_stores_a_digest_of_its_data_and_no_path(trained, tmp_path, monkeypatch):
    assert "archives" not in str(checkpoint.load(trained)[1])
    monkeypatch.setattr(tasks, "FAMILIES", (replace(omniglot.FAMILY, test_tasks=3),))
    argv = ["compare", "omniglot", "--methods", "maml,transfer", "--iterations", "1", *FEW, "--out"]
    for name, data in (("one", "archives"), ("two", str(tmp_path / "archives"))):
        assert main([*argv, name, "--data", data]) == 0
    assert main([*argv, "two", "--data", "archives", "--resume"]) == 0
    one, two = (json.loads(Path(name, "results.json").read_text())["settings"] for name in ("one", "two"))
    assert one == two and "archives" not in str(one)


def test_other_data_are_refused_in_a_sentence(trained, tmp_path, capsys):
    def refused(argv, sentence):
        assert main(argv) == 2
        said = capsys.readouterr().err
        assert sentence in said and said.count("\n") == 1

    content = files(drawings=20)
    zipped(tmp_path / "other", content | {next(iter(content)): png(paper(99))})
    zipped(tmp_path / "more", content)
    zipped(tmp_path / "more", files("images_evaluation", drawings=20, first=100), "images_evaluation.zip")
    before = trained.read_bytes()
    for data in ("other", "more"):
        sentence = f"maml.npz was trained on other data than those in {data}: pass the folder of its training data with --data"
        refused(["evaluate", str(trained), "--data", data], sentence)
        assert trains("run", data, 4, "--resume") == 2
        assert sentence in capsys.readouterr().err and trained.read_bytes() == before
    refused(["evaluate", str(trained)], "omniglot needs --data FOLDER, the folder that holds images_background.zip")
    refused(["evaluate", str(trained), "--data", "nowhere"], "nowhere is no images_background.zip or images_evaluation.zip")
    assert main(["train", *FEW[4:], "--iterations", "1", "--out", "waves"]) == 0
    refused(["evaluate", "waves/maml.npz", "--data", "archives"], "--data is for omniglot, not for sinusoids: leave it out")

