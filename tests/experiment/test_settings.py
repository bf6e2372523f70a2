"""What can be set: defaults by family, options where they belong, and one sentence for what makes no sense."""

from types import MappingProxyType

import numpy as np
import pytest

from tinymaml import methods, tasks
from tinymaml.experiment.options import options_of, settings_for, settings_for_each
from tinymaml.experiment.run import load_run, model, run
from tinymaml.settings import Settings, differences

STEPPING = ", ".join(method.name for method in methods.METHODS if "steps" in options_of(method))


def test_nothing_asked_is_the_papers_setting():
    s = settings_for("sinusoids")
    assert (s.family, s.method, s.shots, s.tasks, s.inner_lr, s.outer_lr) == ("sinusoids", "maml", 5, 25, 0.01, 0.001)
    assert s.hidden == (40, 40) and s.options == {"steps": 1}
    assert s == settings_for("sinusoids", "maml")


def test_a_family_changes_defaults_and_what_is_asked_changes_them_again():
    s = settings_for("glyphs", "first-order", ways=3, shots=2, hidden=[8])
    assert (s.inner_lr, s.iterations, s.dtype, s.shots, s.hidden) == (0.4, 3000, "float32", 2, (8,))
    assert s.options == {"ways": 3, "classes": 2000, "fixed_labels": False, "model": "mlp", "norm": "none", "steps": 1}


@pytest.mark.parametrize("wrong", [
    {"method": "magic"}, {"shots": 0}, {"inner_lr": -0.1}, {"outer_lr": float("nan")}, {"activation": "cube"},
    {"dtype": "int64"}, {"seed": -1}, {"iterations": 0}, {"half_life": -1}, {"family": "chess"}, {"tasks": 0}, {"queries": 0},
])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        settings_for(**{"family": "sinusoids", "method": "maml"} | wrong)


@pytest.mark.parametrize(("family", "method", "wrong", "sentence"), [
    ("sinusoids", "maml", {"steps": 0}, "steps is 0, expected at least 1"),
    ("planes", "maml", {"ways": 1}, "ways is 1, expected at least 2"),
    ("planes", "maml", {"classes": -1}, "classes is -1"),
    ("planes", "oracle", {}, "method oracle does not apply to planes: choose one of maml, first-order, pretraining, transfer"),
    ("sinusoids", "transfer", {}, "method transfer does not apply to sinusoids"),
    ("omniglot", "maml", {}, "omniglot needs --data FOLDER"),
    ("sinusoids", "maml", {"ways": 3}, "--ways is for planes, glyphs, omniglot, not for sinusoids: leave it out"),
    ("planes", "maml", {"data": "x"}, "--data is for omniglot, not for planes"),
    ("sinusoids", "pretraining", {"steps": 2}, f"--steps is for {STEPPING}, not for pretraining"),
    ("sinusoids", "maml", {"width": 2}, "there is no setting 'width': choose among shots, queries"),
])
def test_an_option_is_checked_by_whoever_declares_it_and_refused_elsewhere(family, method, wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        settings_for(family, method, **wrong)


def test_an_option_brings_defaults_with_it_which_what_is_asked_changes_again():
    cnn = settings_for("omniglot", model="cnn", data=".")
    assert (cnn.hidden, cnn.activation, cnn.options["norm"]) == ((16, 16, 16, 16), "relu", "batch")
    assert settings_for("omniglot", data=".").hidden == (256, 128, 64, 64)
    other = settings_for("glyphs", "transfer", model="cnn", norm="layer", hidden=[4, 4])
    assert (other.hidden, other.activation, other.options["norm"]) == ((4, 4), "relu", "layer")


def test_the_model_and_the_norm_that_were_asked_are_built():
    assert model(settings_for("glyphs", model="cnn")).title.startswith("CNN  16 x 16, 3 blocks of 16 filters  relu, batch norm")
    assert model(settings_for("glyphs", norm="layer")).title == "MLP  256 - 64 - 64 - 5  tanh, layer norm, cross_entropy"
    with pytest.raises(ValueError, match="hidden is \\(8, 4\\), expected the same number of filters in every block"):
        model(settings_for("glyphs", model="cnn", hidden=[8, 4]))
    with pytest.raises(ValueError, match="unknown model 'rnn': choose one of mlp, cnn"):
        settings_for("glyphs", model="rnn")
    with pytest.raises(ValueError, match="--model is for glyphs, omniglot, not for planes: leave it out"):
        settings_for("planes", model="cnn")


@pytest.mark.parametrize("wrong", [{"fixed_labels": 1}, {"ways": 2.5}])
def test_an_option_has_one_type(wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        settings_for("planes", **wrong)


def test_several_methods_share_everything_but_their_own_options():
    runs = settings_for_each("sinusoids", steps=3, shots=10)
    usual = [method.name for method in methods.METHODS if method.default and method.supports(tasks.named("sinusoids"))]
    assert list(runs) == usual
    assert runs["maml"].options == {"steps": 3} and runs["pretraining"].options == {}
    assert {s.shots for s in runs.values()} == {10}
    assert list(settings_for_each("planes", ["pretraining", "maml"])) == ["pretraining", "maml"]
    with pytest.raises(ValueError, match=f"--steps is for {STEPPING}, not for pretraining, scratch"):
        settings_for_each("sinusoids", ["pretraining", "scratch"], steps=3)
    with pytest.raises(ValueError, match="unknown method 'magic'"):
        settings_for_each("sinusoids", ["maml", "magic"])


def test_differences_see_options_like_fields():
    one, other = settings_for("planes"), settings_for("planes", ways=3, seed=4)
    assert sorted(differences(one, other)) == ["seed", "ways"] and other.options["ways"] == 3
    assert differences(one, settings_for("planes")) == []
    assert differences(settings_for("sinusoids"), settings_for("sinusoids", "pretraining")) == ["method", "steps"]


@pytest.mark.parametrize("rate", ["inner_lr", "outer_lr"])
def test_a_rate_beyond_all_floats_is_refused_in_a_sentence(rate):
    with pytest.raises(ValueError, match=f"{rate} is .*, expected a finite number above zero"):
        settings_for("sinusoids", **{rate: 10**400})


@pytest.mark.parametrize(("given", "plain"), [
    ({"seed": np.int64(1), "shots": np.int32(2), "queries": np.uint8(3), "tasks": np.int16(2)},
     {"seed": 1, "shots": 2, "queries": 3, "tasks": 2}),
    ({"hidden": (np.int64(4), np.int32(5)), "iterations": np.int64(2), "half_life": np.uint64(3)},
     {"hidden": (4, 5), "iterations": 2, "half_life": 3}),
    ({"inner_lr": np.float32(0.5), "outer_lr": np.float64(0.25), "dtype": np.str_("float32"), "activation": np.str_("tanh")},
     {"inner_lr": 0.5, "outer_lr": 0.25, "dtype": "float32", "activation": "tanh"}),
    ({"ways": np.int8(3), "classes": np.int64(6), "fixed_labels": np.True_}, {"ways": 3, "classes": 6, "fixed_labels": True}),
    ({"family": np.str_("planes"), "method": np.str_("es"), "sigma": np.float32(0.5), "inside": np.str_("es"),
      "tries": np.int64(2)}, {"family": "planes", "method": "es", "sigma": 0.5, "inside": "es", "tries": 2}),
])
def test_numbers_of_numpy_are_as_good_as_pythons_and_can_be_saved(tmp_path, given, plain):
    small = {"family": "planes", "iterations": 1, "tasks": 2, "hidden": (3,)}
    one, other = settings_for(**small | given), settings_for(**small | plain)
    assert one == other and repr(one) == repr(other)
    run(one, tmp_path / "run.npz", progress=False)
    assert load_run(tmp_path / "run.npz")[1] == other
    raw = Settings(family="planes", method="maml", hidden=(3,), iterations=1, options=MappingProxyType({"steps": np.int64(2)}))
    run(raw, tmp_path / "raw.npz", progress=False)
    assert load_run(tmp_path / "raw.npz")[1].options["steps"] == 2


def test_options_are_judged_before_anything_is_trained(tmp_path):
    for options in ({"steps": 0}, {"steps": 1, "horizon": 3}):
        with pytest.raises(ValueError, match=r"steps is 0|--horizon is for navigation"):
            run(Settings("sinusoids", "maml", options=options), tmp_path / "run.npz", progress=False)
    assert not (tmp_path / "run.npz").exists()
