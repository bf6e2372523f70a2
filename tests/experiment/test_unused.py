"""Every setting of every method on every family changes something, or is refused by name."""

import re
from dataclasses import replace
from functools import partial

import pytest

from tinymaml import methods, tasks
from tinymaml.experiment.cli import main
from tinymaml.experiment.options import options_of, refuse_unused, resolve, settings_for, settings_for_each, unused
from tinymaml.experiment.run import adaptation_setup, gradient, initialisation, new_tasks, rng_for, sampler
from tinymaml.settings import FIELDS, as_dict
from tinymaml.tasks import glyphs
from tinymaml.training.evaluation import evaluate
from tinymaml.training.loop import initial_state, train
from tinymaml.training.optimizers import Adam

FAMILIES = [family.name for family in tasks.FAMILIES if "data" not in options_of(family)]
OTHERS = {  # values that are not the ones of `bases`; of all others the double, or one more
    "dtype": "float32", "activation": "sigmoid", "fixed_labels": True, "inside": "climb", "model": "cnn", "norm": "layer",
    "tolerance": 0.9, "damping": 0.5, "half_life": 1, "cg_steps": 1,
}  # fmt: skip


def bases(family, method):
    """Settings under which all is small, and under which options differ in what they change."""
    known = options_of(tasks.named(family), method)
    usual = settings_for(family, method.name)
    few = {"ways": 3, "classes": 12}
    options = usual.options | {name: value for name, value in few.items() if name in known}
    width = (4,) * len(usual.hidden)
    small = replace(
        usual, shots=2, queries=2, tasks=2, iterations=2, inner_lr=0.01, dtype="float64", hidden=width, options=options
    )  # fmt: skip
    yield small
    if width and family in ("sinusoids", "planes") and method.name not in ("boil", "transfer"):
        yield replace(small, hidden=())
    for one, name, values in (("inside", "inside", ("es", "climb")), ("anneal", "steps", (1,))):
        if one in known:
            yield from (replace(small, options=options | {name: value}) for value in values)


def changed(settings, name):
    """The same settings but for one."""
    now = as_dict(settings)[name]
    value = OTHERS.get(name, tuple(width + 1 for width in now) or (4,) if name == "hidden" else None)
    value = value if value is not None else 2 * now if isinstance(now, float) else now + 1
    value = {"climb": "es"}.get(value, value) if value == now else value
    return replace(settings, **{name: value} if name in FIELDS else {"options": settings.options | {name: value}})


def result(settings):
    """All that a run ends with, and what new tasks make of it, to the last bit."""
    method, theta = methods.named(settings.method), initialisation(settings)
    if method.gradient:
        optimizer = Adam(settings.outer_lr, settings.half_life)
        state = initial_state(theta, optimizer, rng_for(settings.seed, "training tasks"))
        theta = train(
            gradient(settings), sampler(settings), state, optimizer=optimizer, iterations=settings.iterations
        ).theta  # fmt: skip
    begun = adaptation_setup(settings, theta, new_tasks(settings, 3, 2))
    if method.adapts:
        losses = evaluate(begun.model, begun.theta, begun.batch, inner_lr=begun.inner_lr, steps=2).values
    else:
        losses = begun.model.at(begun.theta, begun.batch.x_query, begun.batch.y_query).loss
    return theta.flat.tobytes(), losses.tobytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_setting_changes_something_or_is_known_to_be_unused(monkeypatch, family):
    monkeypatch.setattr(glyphs, "TEST_CLASSES", 8)
    glyphs._pools.cache_clear()
    wrong = []
    for method in (each for each in methods.METHODS if each.supports(tasks.named(family))):
        for base in bases(family, method):
            before = result(base)
            for name in (*FIELDS, *base.options):
                try:
                    after = result(resolve(changed(base, name)))
                except ValueError:  # refused anyway
                    continue
                if (before == after) != (name in unused(base)):
                    wrong.append(f"{method.name}, {base.hidden}, {base.options}: {name} is{' not' * (before != after)} unused")
    glyphs._pools.cache_clear()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("family", "several", "asked", "sentence"), [
    ("sinusoids", ["es"], {"tries": 3}, "--tries changes nothing for es that adapts by the gradient"),
    ("sinusoids", ["es"], {"reach": 0.2}, "--reach changes nothing for es that adapts by the gradient"),
    ("sinusoids", ["es"], {"inside": "climb", "inner_lr": 0.2}, "--inner-lr changes nothing for es that adapts by climbing"),
    ("sinusoids", ["oracle"], {"inner_lr": 0.2}, "--inner-lr changes nothing for oracle, which does not adapt"),
    ("planes", ["transfer"], {"queries": 3}, "--queries changes nothing for transfer, which is not trained on tasks"),
    ("glyphs", ["transfer"], {"fixed_labels": True}, "--fixed-labels changes nothing for transfer"),
    ("navigation", ["maml", "scratch"], {"activation": "tanh"}, "--activation changes nothing without hidden layers"),
    ("sinusoids", ["scratch"], {"half_life": 3}, "--half-life changes nothing for scratch, which is not trained"),
    ("planes", ["scratch", "transfer"], {"queries": 3}, "which is not trained and for transfer, which is not trained on tasks"),
    ("sinusoids", ["multi-step"], {"steps": 1, "anneal": 3}, "--anneal changes nothing for multi-step with one step"),
])
def test_a_setting_that_changes_nothing_is_refused_by_name(tmp_path, monkeypatch, capsys, family, several, asked, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tinymaml.experiment.comparison.run_comparison", partial(pytest.fail, "trained"))
    name = list(asked)[-1]
    if name not in FIELDS:
        with pytest.raises(ValueError, match=re.escape(sentence)):
            settings_for_each(family, several, **asked)
    words = [word for key, value in asked.items() for word in (f"--{key.replace('_', '-')}", str(value)) if value is not True]
    words += ["--fixed-labels"] * ("fixed_labels" in asked)
    assert main(["compare", family, "--methods", ",".join(several), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_what_changes_one_of_several_methods_is_theirs():
    runs = settings_for_each("sinusoids", ["oracle", "scratch", "maml"], inner_lr=0.02, tasks=3)
    refuse_unused(runs, ["inner_lr", "tasks"])
    with pytest.raises(ValueError, match="inner-lr"):
        refuse_unused({"oracle": runs["oracle"]}, ["inner_lr", "tasks"])


@pytest.mark.parametrize("name", ["sigma", "reach"])
def test_points_that_are_theta_itself_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 1e-300, expected at least 1e-06: try 0.05"):
        settings_for("sinusoids", "es", inside="es", **{name: 1e-300})
