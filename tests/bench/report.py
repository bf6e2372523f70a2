"""What was measured as Markdown tables and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

LOAD = ["kind", "dtype", "steps", "tasks", "width"]
STYLES = {  # colours of Okabe and Ito's set; line styles and markers differ too
    "tinymaml": ("#0072B2", "-", "o"),
    "formed": ("#56B4E9", "--", "s"),
    "factored": ("#009E73", (0, (5, 1)), "D"),
    "JAX": ("#D55E00", "-.", "^"),
    "torch.func": ("#CC79A7", (0, (3, 1, 1, 1)), "v"),
    "PyTorch loop": ("#777777", ":", "x"),
}


def best(seconds: Mapping[str, float]) -> float:
    """The better of a contestant's times, {threads: seconds}."""
    return min(seconds.values())


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its columns aligned, so that it reads well as plain text too."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    line = lambda cells: "| " + " | ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|", *map(line, rows)])


def described(found: Mapping, load: Sequence[str] = LOAD) -> list[str]:
    """The cells that say which load it is."""
    return [str(found[name]) for name in load]


def _ms(seconds: Mapping[str, float]) -> str:
    return " / ".join(f"{1000 * value:.3g}" for value in seconds.values())


def times(results: Sequence[Mapping], contestants: Sequence[str], load: Sequence[str] = LOAD) -> str:
    """Milliseconds of a meta-gradient, one number for each number of threads; ratios of the better times; the share, if known."""
    peers = [name for name in contestants if name not in ("tinymaml", "formed", "factored")]
    rows = []
    for found in results:
        seconds = found["seconds"]
        ratios = [f"{best(seconds[name]) / best(seconds['tinymaml']):.2f}" for name in peers]
        share = [f"{found['share']:.0%}"] if "share" in found else []
        rows.append([*described(found, load), *(_ms(seconds[name]) for name in contestants), *ratios, *share])
    share = ["of product speed"] if any("share" in found for found in results) else []
    return markdown([*load, *contestants, *(f"{name} : tinymaml" for name in peers), *share], rows)


def iterations(results: Sequence[Mapping]) -> str:
    """Milliseconds of a whole training iteration."""
    names = list(dict.fromkeys(name for found in results for name in found["seconds"]))
    rows = [[*described(found), *(_ms(found["seconds"][name]) for name in names)] for found in results]
    return markdown([*LOAD, *(name.replace("iteration", "").strip() or "tinymaml" for name in names)], rows)


def memory(results: Sequence[Mapping], contestants: Sequence[str]) -> str:
    """MB above the data."""
    rows = [[*described(found), *(f"{found['megabytes'][name]:.0f}" for name in contestants)] for found in results]
    return markdown([*LOAD, *contestants], rows)


def whole(found: Mapping, contestants: Sequence[str]) -> str:
    """All tables with what one must know to read them."""
    threads = found["threads"]
    counts = " / ".join(map(str, threads)) + (" threads" if max(threads) > 1 else " thread")
    parts = [", ".join(f"{name} {value}" for name, value in found["machine"].items()) + "."]
    parts += [f"{library} is left out: {reason}." for library, reason in found["absent"].items()]
    if found["compare"]:
        parts += [
            f"Milliseconds of one meta-gradient with {counts}; ratios are of the better of each. `dense` and "
            "`factored` are the two forms of adapted weights, `tinymaml` is what is chosen. All gave the same gradient.",
            times(found["compare"], contestants),
        ]
    if found["iterate"]:
        parts += [
            f"Milliseconds of a whole training iteration (sampling, meta-gradient, Adam, history) with {counts}.",
            iterations(found["iterate"]),
        ]
    if found["weigh"]:
        parts += [
            "Peak memory of one meta-gradient in MB, above imports and data, each in a fresh process.",
            memory(found["weigh"], contestants),
        ]
    return "\n\n".join(parts)


def figure(results: Sequence[Mapping], contestants: Sequence[str], path: Path) -> None:
    """Time against width and against tasks, where there are several; the better of each contestant's times.

    All else is as in the first result.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [x for x in ("width", "tasks") if len({found[x] for found in results}) > 1] or ["width"]
    size = (2 + 4 * len(panels), 4)
    drawn, (axes,) = plt.subplots(1, len(panels), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for ax, x in zip(axes, panels, strict=True):
        fixed = {name: results[0][name] for name in LOAD if name != x}
        chosen = sorted((found for found in results if fixed.items() <= found.items()), key=lambda found: found[x])
        for name in contestants:
            colour, style, marker = STYLES[name]
            points = [(found[x], 1000 * best(found["seconds"][name])) for found in chosen]
            ax.plot(*zip(*points, strict=True), color=colour, linestyle=style, marker=marker, label=name)
        ax.set(xscale="log", yscale="log", xlabel=x, title=", ".join(f"{name} {value}" for name, value in fixed.items()))
        ax.title.set_fontsize("small")
        ax.set_xticks([found[x] for found in chosen], [str(found[x]) for found in chosen])
        ax.xaxis.set_minor_formatter("")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds of one meta-gradient")
    axes[-1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    drawn.savefig(path, dpi=150)
    plt.close(drawn)
