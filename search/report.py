"""What a study found, for people: one HTML page, the same in Markdown, pictures and tables."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from muse.durable import atomically, put_text
from search import terms, wording
from search.comparison import draw_interaction, draw_ranking
from search.costs import PhaseCost
from search.drawing import draw_curve, draw_overview
from search.findings import Findings
from search.review import files_of
from search.space import short
from search.tables import (
    Rows,
    costs,
    escaped,
    markdown,
    origin,
    ranking,
    values,
    went_on,
    write_runs,
    write_summary,
)

FOLDER = "sensitivity"
"""Pictures and tables, inside the study's folder."""

DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it."""

    file: str
    """Relative to the study's folder."""

    alt: str
    """What it shows, for those who cannot see it."""

    uri: str
    """The same as SVG, inside the page."""


@dataclass(frozen=True)
class Section:
    """One setting in the report."""

    title: str
    meaning: str
    verdict: str
    reading: str
    alarm: str
    picture: Picture
    table: Rows
    csv: str


def write_report(
    findings: Findings,
    folder: Path,
    provenance: Mapping[str, Any],
    phases: Sequence[PhaseCost] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write `report.html`, `report.md` and `sensitivity/`; each file is the old or the new one.

    Args:
        findings: what to tell.
        folder: the study's.
        provenance: where it comes from, as `search.provenance.provenance` gives it; more keys are
            shown as they are.
        phases: what each phase cost.
        notes: more paragraphs, such as the score on the test split.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    write_tables(findings, folder / FOLDER)
    told = content(findings, folder, provenance, phases, notes)
    for name in ("report.html", "report.md"):
        text = environment(name).get_template(f"{name}.j2").render(told)
        put_text(folder / name, text)


def write_tables(findings: Findings, folder: Path) -> None:
    """`<knob>.csv` for each setting and `summary.csv`."""
    for curve in findings.curves:
        write_runs(curve.runs, folder / f"{short(curve.name)}.csv")
    write_summary(findings, folder / "summary.csv")


def environment(name: str) -> Environment:
    """Jinja with the template beside this file; what it inserts is escaped."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"plain": escaped, "table": markdown}
    return found


def content(
    findings: Findings,
    folder: Path,
    provenance: Mapping[str, Any],
    phases: Sequence[PhaseCost],
    notes: Sequence[str],
) -> dict[str, Any]:
    """All that the templates insert; the pictures are written on the way."""
    about, place = origin(findings, provenance), folder / FOLDER
    overview = "All curves on one scale of scores. " + " ".join(wording.headline(findings))
    order = ", ".join(terms.title(curve.name) for curve in findings.curves)
    maps = []
    for map_ in findings.interactions:
        name = "-".join(["interaction", *map(short, map_.names)])
        reading = wording.interplay(map_)
        maps.append(
            (reading, picture(draw_interaction(map_, findings), name, reading, place, about))
        )
    return {
        "study": findings.study,
        "metric": terms.metric_name(findings.metric),
        "headline": wording.headline(findings),
        "verdicts": wording.VERDICTS,
        "ranking": ranking(findings),
        "disagree": [terms.title(name) for name in findings.disagree],
        "alarms": [(terms.title(c.name), c.alarm) for c in findings.curves if c.alarm],
        "overview": picture(draw_overview(findings), "overview", overview, place, about),
        "ranked": picture(
            draw_ranking(findings), "ranking", f"Settings by effect: {order}.", place, about
        ),
        "sections": sections(findings, folder, about),
        "maps": maps,
        "costs": costs(phases) if phases else [],
        "notes": [*went_on(provenance), *notes],
        "review": files_of(folder),
        "provenance": about,
    }


def sections(findings: Findings, folder: Path, about: Mapping[str, str]) -> list[Section]:
    """One for each setting, the strongest first."""
    made = []
    for curve in findings.curves:
        name, key = terms.title(curve.name), short(curve.name)
        reading = wording.reading(curve, findings)
        alt = f"Curve of {name} against {terms.metric_name(findings.metric)}. {reading}"
        shown = picture(draw_curve(curve, findings), key, alt, folder / FOLDER, about)
        meaning, csv = terms.meaning(curve.name), f"{FOLDER}/{key}.csv"
        made.append(
            Section(name, meaning, curve.verdict, reading, curve.alarm, shown, values(curve), csv)
        )
    return made


def picture(figure: Figure, name: str, alt: str, folder: Path, about: Mapping[str, str]) -> Picture:
    """Write a figure as PNG, with its origin in it, and keep it as SVG for the page.

    Args:
        figure: what to draw.
        name: of the file.
        alt: what it shows, in words.
        folder: inside the study's.
        about: its origin.
    """
    file = folder / f"{name}.png"
    kept = {key: about[key] for key in ("study", "data hash", "revision") if key in about}
    settings: dict[str, Any] = {"format": "png", "dpi": DOTS_PER_INCH, "metadata": kept}
    atomically(file, lambda new: figure.savefig(new, **settings))
    figure.set_layout_engine("none")  # it was found for the PNG
    drawn = BytesIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # the same findings give the same page
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    code = base64.b64encode(drawn.getvalue()).decode()
    return Picture(f"{folder.name}/{file.name}", alt, f"data:image/svg+xml;base64,{code}")
