"""Glyphs: the curve, the ink, the characters, and that one character's drawings are of one kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import few, seeds

from tinymaml.tasks import Episodes, Glyphs, glyphs, nearest_neighbour, pool


def test_the_curve_goes_through_every_control_point_and_straight_where_they_are_in_line():
    through = glyphs._catmull_rom(controls=5, dots=9)
    np.testing.assert_allclose(through[::2], np.eye(5), atol=1e-15)
    np.testing.assert_allclose(through @ np.arange(5.0), np.linspace(0, 4, 9), atol=1e-14)
    np.testing.assert_allclose(glyphs.CURVE.sum(1), 1, rtol=1e-14)


def test_the_curve_has_no_corner():
    points = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0, 2]])
    fine = glyphs._catmull_rom(controls=5, dots=4001) @ points
    steps = np.diff(fine, axis=0)
    assert np.abs(np.diff(steps, axis=0)).max() < 0.01 * np.abs(steps).max()


def test_ink_is_dark_on_the_line_fades_like_a_gaussian_and_does_not_depend_on_how_many_dots_there_are():
    size = 31  # pixels 0.1 apart; number 15 is at 0
    pen = np.full((1, 1, 1), 0.1)
    line = lambda dots: np.stack([np.linspace(-1.2, 1.2, dots), np.zeros(dots)], axis=-1)[None, None]
    image = glyphs.ink(line(61), pen, size)[0]
    np.testing.assert_allclose(image, image[::-1], atol=1e-12)
    np.testing.assert_allclose(image, image[:, ::-1], atol=1e-12)
    flow = -np.log1p(-image[:, 15])  # sqrt(2 pi) exp(-y^2 / 2 pen^2), as the line integral of the dots has it
    np.testing.assert_allclose(flow[12:19], np.sqrt(2 * np.pi) * np.exp(-0.5 * np.arange(-3.0, 4) ** 2), rtol=1e-3)
    np.testing.assert_allclose(image, glyphs.ink(line(121), pen, size)[0], atol=0.005)  # but for its ends


def test_rows_are_y_downwards_and_columns_x():
    corner = np.array([[-1.5, -1.5], [-1.5, -1.3]])[None, None]  # a short line down from the upper left
    image = glyphs.ink(corner, np.full((1, 1, 1), 0.1), 16)[0]
    assert min(image[0, 0], image[1, 0]) > 2 * image[:, 1:].max()
    assert image[0, 0] > 2 * image[3:].max()


@few
@given(seed=seeds, count=st.integers(1, 30))
def test_a_character_has_one_to_three_strokes_and_fills_its_square(seed, count):
    classes = Glyphs().classes(np.random.default_rng(seed), (count, 2))
    assert classes.shape == (count, 2, 3, 5, 2)
    low, high = classes.min((-3, -2)), classes.max((-3, -2))
    np.testing.assert_allclose((high - low).max(-1), 2)
    np.testing.assert_allclose(low, -high, atol=1e-12)
    drawn = (classes != classes[..., :1, :]).any((-2, -1))  # (count, 2, strokes)
    assert drawn[..., 0].all() and (drawn[..., 1] >= drawn[..., 2]).all()
    gaps = np.linalg.norm(classes[..., 1:, :, None, :] - classes[..., :1, None, :, :], axis=-1).min((-2, -1))
    assert gaps.max() < 1e-12  # every later stroke has a point of the first


def test_characters_have_one_two_or_three_strokes():
    classes = Glyphs().classes(np.random.default_rng(0), 300)
    number = (classes != classes[..., :1, :]).any((-2, -1)).sum(-1)
    assert set(number) == {1, 2, 3}  # 0.85^300 to miss the rarest
    several = classes[number > 1]
    gaps = np.linalg.norm(several[:, 1, :, None] - several[:, 0, None, :], axis=-1)  # of all points of the two strokes
    assert (gaps < 1e-12).any(0).all()  # any point of the one may lie on any of the other


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@few
@given(seed=seeds, size=st.integers(4, 20))
def test_images_are_ink_on_paper(dtype, seed, size):
    family, rng = Glyphs(size=size), np.random.default_rng(seed)
    x = family.examples(rng, family.classes(rng, (2, 3)), 4, dtype)
    assert x.shape == (2, 3, 4, size * size) and x.dtype == dtype
    assert x.min() >= 0 and x.max() <= 1 and np.isfinite(x).all()
    assert len(np.unique(x.reshape(24, -1), axis=0)) == 24


def test_a_steady_hand_writes_the_same_each_time_but_for_the_pen():
    still, rng = Glyphs(jitter=0, shift=0, slant=0, stretch=0), np.random.default_rng(0)
    assert 30 * 20 > 2 * glyphs.CHUNK  # so that every piece of the work is put where it belongs
    x = still.examples(rng, still.classes(rng, 30), 20)
    centred = x - x.mean(-1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=-1, keepdims=True)
    alike = np.einsum("amd,bnd->abmn", unit, unit)
    own = np.eye(30, dtype=bool)
    assert alike[own].min() > 0.6
    assert alike[~own].mean() < 0.4


@pytest.mark.parametrize("name", ["jitter", "shift", "slant", "stretch"])
def test_each_distortion_by_itself(name):
    steady = {"jitter": 0, "shift": 0, "slant": 0, "stretch": 0}
    rng = np.random.default_rng(0)
    meant = rng.standard_normal((3, 5, 2))
    written = Glyphs(**steady | {name: 0.2})._distort(rng, np.tile(meant, (4000, 1, 1, 1)))
    # written = (1, x, y) A + what no A explains
    here = np.concatenate([np.ones((15, 1)), meant.reshape(15, 2)], axis=1)
    A = np.linalg.pinv(here) @ written.reshape(4000, 15, 2)  # (4000, 3, 2)
    unexplained = written.reshape(4000, 15, 2) - here @ A
    A[:, [1, 2], [0, 1]] = np.log(A[:, [1, 2], [0, 1]])
    spread = np.sqrt((A**2).mean(0))
    still = [0, 0]
    expected = {"shift": [[0.2, 0.2], still, still], "slant": [still, still, [0.2, 0]], "stretch": [still, [0.2, 0], [0, 0.2]]}
    if name == "jitter":
        np.testing.assert_allclose(np.sqrt((unexplained**2).sum((1, 2)).mean() / (2 * 12)), 0.2, rtol=0.1)
    else:  # a standard error of 1 %
        np.testing.assert_allclose(spread, expected[name], rtol=0.1, atol=1e-12)
        assert np.abs(unexplained).max() < 1e-12


def test_a_stroke_that_a_character_lacks_leaves_no_ink():
    family, rng = Glyphs(), np.random.default_rng(0)
    nothing = np.zeros((2, 3, 5, 2))
    assert family.examples(rng, nothing, 3).max() == 0


def test_the_neighbour_in_pixels_is_better_than_chance_and_far_from_solving_it():
    characters = pool(Glyphs(), np.random.default_rng(0), classes=300, examples=6)
    batch = Episodes(characters).sample(np.random.default_rng(1), tasks=400, shots=1, queries=5)
    right = (nearest_neighbour(batch).argmax(-1) == batch.y_query.argmax(-1)).mean()
    assert 0.45 < right < 0.6  # 0.53 measured, with a standard error of 0.01


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"size": 3}, ValueError, "size is 3, expected at least 4"),
        ({"size": 16.0}, TypeError, "size is 16.0, expected a whole number"),
        ({"jitter": -0.1}, ValueError, "jitter is -0.1, expected at least 0"),
        ({"shift": np.nan}, ValueError, "shift is nan, expected a finite number"),
    ],
)
def test_hands_that_are_none_are_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        Glyphs(**options)
