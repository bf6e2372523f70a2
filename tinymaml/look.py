"""How a row of the comparison looks, the same in every table and figure."""

from __future__ import annotations

from typing import Any, NamedTuple


class Look(NamedTuple):
    """Label, colour (Okabe and Ito's set, which the colour-blind tell apart), line style and marker, as matplotlib names them."""

    label: str
    colour: str
    style: Any = "-"
    marker: str | None = None
