"""The axes of a curve: where a value stands, which ticks it has, which scores are shown."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

from search.findings import Curve, Findings
from search.space import Choice, Knob, Range, Value, Whole
from search.view import number

LEAST_SPAN = 0.1
"""Least height of an axis in units of the score: noise must not look like a cliff."""


def is_log(knob: Knob) -> bool:
    """Whether a knob is searched evenly in its logarithm."""
    return isinstance(knob, Range) and knob.log


def place(knob: Knob, value: Value) -> float:
    """Where a value stands on its axis; names stand side by side."""
    return float(knob.choices.index(value)) if isinstance(knob, Choice) else float(value)


def scale(axes: Axes, curve: Curve) -> None:
    """The horizontal axis: its kind, its ends and its ticks."""
    knob = curve.knob
    if isinstance(knob, Choice):
        axes.set_xlim(-0.5, len(knob.choices) - 0.5)
        axes.set_xticks(range(len(knob.choices)), [number(value) for value in knob.choices])
        return
    ends = [knob.low, knob.high, *(float(level.value) for level in curve.levels)]
    low, high = min(ends), max(ends)
    if is_log(knob):
        axes.set_xscale("log")
        axes.set_xlim(low * (low / high) ** 0.05, high * (high / low) ** 0.05)
        log_ticks(axes, low, high)
        return
    margin = 0.05 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    whole = isinstance(knob, Whole)
    steps = [1, 2, 2.5, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=whole, steps=steps, min_n_ticks=1))


def log_ticks(axes: Axes, low: float, high: float) -> None:
    """Ticks at powers of ten, and between them where there are few."""
    decades = math.log10(high / low)
    if decades < 0.7:
        axes.xaxis.set_major_locator(FixedLocator([low, (low * high) ** 0.5, high]))
    else:
        steps = (1.0, 2.0, 5.0) if decades <= 1 else (1.0, 3.0) if decades <= 2 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
    plain = low >= 1e-2 and high < 1e4
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:.3g}" if plain else power(v))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if decades <= 2:
        axes.xaxis.set_minor_locator(NullLocator())


def power(value: float) -> str:
    """A number with a power of ten."""
    digits, exponent = f"{value:.2e}".split("e")
    factor = digits.rstrip("0").rstrip(".")
    many = "" if factor == "1" else rf"{factor} \cdot "
    return f"${many}10^{{{int(exponent)}}}$"


def heights(curves: Sequence[Curve], findings: Findings) -> tuple[float, float]:
    """The scores to show: all runs and the noise floor, differences where they are not too long.

    With two seeds an interval may be ten times as long as the runs lie apart; it then leaves the
    picture, and the runs stay readable.
    """
    noise = findings.noise or 0.0
    found = [run.metric for curve in curves for run in curve.runs if run.metric is not None]
    low = min([*found, findings.mean - 2 * noise])
    high = max([*found, findings.mean + 2 * noise])
    reach = max(high - low, LEAST_SPAN) / 2
    bars = [bar for curve in curves for level in curve.levels if (bar := curve.beside(level))]
    low = max(low - reach, min([low, *(bar[0] for bar in bars)]))
    high = min(high + reach, max([high, *(bar[1] for bar in bars)]))
    if low - (high - low) / 4 <= findings.baseline < low:
        low = findings.baseline
    margin = max(0.06 * (high - low), (LEAST_SPAN - (high - low)) / 2)
    return low - margin, high + margin
