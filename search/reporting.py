"""The last phase: review the best model, draw the curves or the comparison, write the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from muse.yardstick import grain, trivial_score
from search.best import read_best
from search.contrast import contrast
from search.contrast_report import FOLDER, show_contrast, write_contrast
from search.contrast_report import headline as contrast_headline
from search.costs import phase_costs
from search.curve_board import show_findings
from search.entry import Entry
from search.findings import Findings
from search.importance import both, disagreements
from search.plan import incumbent
from search.report import write_report
from search.review import review
from search.sensitivity import findings
from search.stored import provenance_of
from search.study import Study
from search.terms import metric_name
from search.wording import headline
from search.work import Work


def report(work: Work) -> None:
    """Review the best model, draw the curves or the comparison, and write the report."""
    study, entries, root = work.study, work.entries(), work.place.root
    if study.compare is not None:
        report_comparison(work)
        return
    review(work)
    if not study.sensitivity.points:
        return
    best = incumbent(study, entries)
    baseline, step = trivial_score(work.tensors, study.base), grain(work.tensors, study.base)
    found = findings(study, entries, best, baseline, step)
    found = with_importances(found, study, entries)
    about = provenance_of(root)
    spent = phase_costs(entries, study.budget.epochs, study.resources.price_per_hour)
    write_report(found, root, about, spent, notes(read_best(root)))
    show_findings(work.keeper.board, found, about)
    for line in headline(found):
        work.view.say(line)


def with_importances(found: Findings, study: Study, entries: Sequence[Entry]) -> Findings:
    """The findings with what the search's own trials say of the settings."""
    ped_anova, fanova = both(study, entries, study.seed)
    disagree = disagreements(found.curves, ped_anova, fanova)
    return replace(found, ped_anova=ped_anova, fanova=fanova, disagree=disagree)


def report_comparison(work: Work) -> None:
    """Write the table of variants from the runs on record."""
    study, entries = work.study, work.entries()
    found = contrast(study, entries, partial(grain, work.tensors, study.base))
    baseline = trivial_score(work.tensors, study.base, found.split)
    about = provenance_of(work.place.root)
    spent = phase_costs(entries, study.budget.epochs, study.resources.price_per_hour)
    write_contrast(found, work.place.root, about, spent, baseline)
    show_contrast(work.keeper.board.afresh(FOLDER), found, about, baseline)
    for line in contrast_headline(found):
        work.view.say(line)


def notes(best: Mapping[str, Any]) -> list[str]:
    """What the report says of the final training."""
    final = best.get("final")
    if not final:
        return []
    test = final["test"]
    if isinstance(test, Mapping):
        scores = ", ".join(f"{metric_name(name)} {value:.4f}" for name, value in test.items())
        test = f"on test, scored once, {scores}"
    reached = f"{metric_name(best['metric'])} {final['value']:.4f}"
    return [f"Final training ({final['trial_id']}): {reached}; {test}."]
