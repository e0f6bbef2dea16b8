"""Charts drawn on the server: an SVG that stretches, with all words in HTML beside it so that phones can read them.

Every chart has a title and a description for screen readers, and its figures as a table to unfold. Colours are classes
of the style sheet; no chart has an inline style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 1000.0, 100.0
"""Of the picture's own grid; it stretches to whatever room there is."""
DECADES = 4
"""Of a logarithmic scale: one for each of the picture's four rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of figures."""

    name: str
    """In the reader's language."""
    colour: str
    """A colour class of the style sheet without its ``fill-``: deliver, junk, quarantine, refuse, defer, turned, accent."""
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across, such as a threshold, with its words."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """A line through values."""

    points: str
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Ready to be drawn by ``chart.html``."""

    title: str
    about: str
    labels: Sequence[str]
    """What stands under each place of the axis; the table has them all."""
    series: Sequence[Series]
    ticks: Sequence[str]
    """The scale's words, the highest first."""
    boxes: Sequence[Box] = ()
    paths: Sequence[Path] = ()
    marks: Sequence[Mark] = ()
    axis: Sequence[str] = ()
    """The few labels that are shown."""
    note: str = ""
    """Something that a reader must know, below the picture."""

    @property
    def empty(self) -> bool:
        """Nothing to see."""
        return not any(any(one.values) for one in self.series)


def stacked(
    title: str, about: str, labels: Sequence[str], series: Sequence[Series], *, axis: int = 5, note: str = ""
) -> Chart:
    """Bars on top of each other, one for each label."""
    sums = [sum(one.values[place] for one in series) for place in range(len(labels))]
    top = nice(max(sums, default=0))
    step = WIDTH / max(1, len(labels))
    gap = step * 0.12
    boxes = []
    for place in range(len(labels)):
        below = HEIGHT
        for one in series:
            height = one.values[place] / top * HEIGHT
            if height:
                below -= height
                boxes.append(
                    Box(
                        round(place * step + gap / 2, 2),
                        round(below, 2),
                        round(step - gap, 2),
                        round(height, 2),
                        one.colour,
                    )
                )
    return Chart(
        title=title,
        about=about,
        labels=labels,
        series=series,
        ticks=scale(top),
        boxes=boxes,
        axis=some(labels, axis),
        note=note,
    )


def histogram(
    title: str,
    about: str,
    labels: Sequence[str],
    series: Sequence[Series],
    marks: Sequence[tuple[float, str]] = (),
) -> Chart:
    """Bars without gaps; each mark is a place on the axis (0 for the left edge of the first bar) with its words."""
    chart = stacked(title, about, labels, series, axis=5)
    step = WIDTH / max(1, len(labels))
    lines = [Mark(round(min(max(place, 0.0), float(len(labels))) * step, 2), text) for place, text in marks]
    return Chart(
        title=title, about=about, labels=labels, series=series, ticks=chart.ticks, boxes=chart.boxes, marks=lines,
        axis=chart.axis,
    )  # fmt: skip


def lines(
    title: str, about: str, labels: Sequence[str], series: Sequence[Series], *, unit: str = "", axis: int = 5
) -> Chart:
    """Lines over time, such as percentiles, on a logarithmic scale of four decades: the usual shows beside the rare.

    The top is the power of ten that holds the largest; what is below the lowest decade lies on the bottom.
    """
    top = decade(max((max(one.values, default=0) for one in series), default=0))
    step = WIDTH / max(1, len(labels) - 1)
    paths = [
        Path(
            " ".join(f"{place * step:.1f},{depth(value, top):.1f}" for place, value in enumerate(one.values)),
            one.colour,
        )
        for one in series
    ]
    return Chart(
        title=title,
        about=about,
        labels=labels,
        series=series,
        ticks=[f"{10.0 ** (top - part):,.0f}{unit}" for part in range(DECADES + 1)],
        paths=paths,
        axis=some(labels, axis),
    )


def decade(value: float) -> int:
    """The exponent of the least power of ten that is not below `value`; at least DECADES, so that the scale ends at one."""
    return max(DECADES, ceil(log10(max(1.0, value))))


def depth(value: float, top: int) -> float:
    """How far below the picture's upper edge a value lies."""
    above = log10(max(value, 10.0 ** (top - DECADES))) - (top - DECADES)
    return HEIGHT - above / DECADES * HEIGHT


def nice(value: float) -> float:
    """The least round number that is not below `value` and whose quarters are whole: 4, 8, 12, 20, 40, 60, 80, 100, 120, …"""
    power = 10.0 ** floor(log10(max(1.0, value)))
    for tenths in (10, 12, 20, 40, 60, 80, 100, 120):
        top = tenths * power / 10
        if top >= value and top % 4 == 0:
            return top
    return float(4 * ceil(value / 4))


def scale(top: float) -> list[str]:
    """Five words for the scale, the highest first."""
    return [short(top * part / 4) for part in (4, 3, 2, 1, 0)]


def short(value: float) -> str:
    """1500 as ``1.5k``."""
    for size, mark in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{mark}"
    return f"{value:g}"


def some(labels: Sequence[str], wanted: int) -> list[str]:
    """At most `wanted` of them, evenly, the first and the last among them."""
    if len(labels) <= wanted:
        return list(labels)
    last = len(labels) - 1
    return [labels[round(place * last / (wanted - 1))] for place in range(wanted)]
