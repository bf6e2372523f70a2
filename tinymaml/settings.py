"""What can be set in a training run, with the defaults of each problem."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tinymaml import validate
from tinymaml.activations import ACTIVATIONS

# what is trained, and how it is called in tables and figures
METHODS = {
    "maml": "MAML",
    "first-order": "first-order MAML",
    "pretraining": "pre-trained",
    "transfer": "transfer",
    "oracle": "oracle",
}


@dataclass(frozen=True)
class Settings:
    """One training run. The defaults are those of sinusoids: the paper's, but for a shorter training.

    tasks, shots, queries    of one meta-batch: how many tasks; support and query examples of each, or of each class
    steps, inner_lr          the inner loop, in training
    outer_lr, half_life      the outer loop: Adam's rate, and in how many iterations it falls to a half (0: never)
    hidden, activation       the widths of the hidden layers and what follows them
    ways                     N of N-way classification
    classes, shuffled        how many classes there are to train on (0: no end of them); whether labels are permuted
    data                     the folder of a data set that is not generated
    """

    problem: str = "sinusoids"
    method: str = "maml"
    shots: int = 5
    queries: int = 10
    tasks: int = 25
    steps: int = 1
    inner_lr: float = 0.01
    outer_lr: float = 0.001
    half_life: int = 0
    hidden: tuple[int, ...] = (40, 40)
    activation: str = "relu"
    iterations: int = 15_000
    seed: int = 0
    dtype: str = "float64"
    ways: int = 5
    classes: int = 0
    shuffled: bool = True
    data: str = ""

    def __post_init__(self) -> None:
        validate.one_of("problem", self.problem, DEFAULTS)
        validate.one_of("method", self.method, METHODS_OF[self.problem])
        validate.one_of("activation", self.activation, ACTIVATIONS)
        validate.one_of("dtype", self.dtype, ("float64", "float32"))
        for name in ("shots", "queries", "tasks", "steps", "iterations"):
            validate.count(name, getattr(self, name))
        for name, least in (("seed", 0), ("classes", 0), ("half_life", 0), ("ways", 2)):
            validate.count(name, getattr(self, name), least=least)
        for name in ("inner_lr", "outer_lr"):
            validate.rate(name, getattr(self, name))
        object.__setattr__(self, "hidden", tuple(validate.count("width", width) for width in self.hidden))

    @property
    def classifies(self) -> bool:
        """Whether tasks are N-way classification, else regression."""
        return self.problem != "sinusoids"


FEWSHOT = {"shots": 1, "queries": 5, "inner_lr": 0.4, "activation": "tanh", "dtype": "float32"}

# what each problem changes in the defaults above
DEFAULTS = {
    "sinusoids": {},
    "planes": FEWSHOT | {"iterations": 3000},
    "glyphs": FEWSHOT | {"iterations": 3000, "outer_lr": 0.003, "half_life": 1000, "hidden": (64, 64), "classes": 2000},
    "omniglot": FEWSHOT | {
        "iterations": 12_000, "outer_lr": 0.003, "half_life": 3000, "hidden": (256, 128, 64, 64), "tasks": 16, "queries": 3,
    },
}
METHODS_OF = {
    "sinusoids": ("maml", "first-order", "pretraining", "oracle"),
    "planes": ("maml", "first-order", "pretraining", "transfer"),
    "glyphs": ("maml", "first-order", "pretraining", "transfer"),
    "omniglot": ("maml", "first-order", "pretraining", "transfer"),
}


def defaults(problem: str) -> Settings:
    """The settings of a problem as they are when nothing is asked otherwise."""
    validate.one_of("problem", problem, DEFAULTS)
    return Settings(problem=problem, **DEFAULTS[problem])


def differences(one: Settings, other: Settings) -> list[str]:
    """The names of the settings in which two runs differ."""
    return [field.name for field in fields(Settings) if getattr(one, field.name) != getattr(other, field.name)]
