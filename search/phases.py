"""The phases of a study: search, confirm, sensitivity, final, report; or compare, report.

Each runs alone and again.

A phase trains only what is not on record, so a study that was interrupted in any of them goes on.
"""

from collections.abc import Callable, Sequence

from ray.tune.schedulers import FIFOScheduler

from muse.errors import UserError
from search.best import put_model, read_best, write_best
from search.bucket import at_hand
from search.card import write_card
from search.costs import cost
from search.final import final
from search.importing import importing
from search.kept import best_of
from search.launch import tune_phase
from search.mirror import Mirror
from search.plan import (
    COMPARE,
    CONFIRM,
    SENSITIVITY,
    compared,
    confirmation,
    corners,
    incumbent,
    missing,
    strongest_pairs,
    sweep,
)
from search.scheduler import build_scheduler
from search.searcher import Listed, Proposal, Truthful
from search.sensitivity import findings
from search.settle import settled_plan
from search.view import clock, several
from search.work import Work


def search(work: Work) -> None:
    """Propose, train, stop what is bad, until the budget is spent."""
    study, earlier = work.study, work.entries("search")
    if sum(e.state != "running" for e in earlier) < study.budget.trials:
        cluster = work.cluster()
        begin = work.keeper.start("search", study.budget.trials, earlier, cluster.pools.devices)
        searcher = Truthful(study, earlier, begin, work.place.priors)
        journal = work.place.root / "optuna.journal"
        with Mirror(study, journal, earlier, work.place.priors) as work.keeper.mirror:
            scheduler = build_scheduler(study, earlier)
            tune_phase(cluster, work.keeper, searcher, scheduler, work.drive)
        work.keeper.mirror = None
    best = best_of(work.entries("search"))
    if best is None:
        raise UserError("no trial of the search ended with a score; see the reasons in trials.csv")
    root = work.place.root
    if not read_best(root).get("confirmed"):  # a later phase knows better
        with at_hand(work.keeper.kept.checkpoints.folder(best.trial_id)) as (folder, _):
            put_model(folder, root)
        work.ledger.keep(best.trial_id, "best")
        write_best(study, work.entries(), best, root)


def confirm(work: Work) -> None:
    """Train the best configurations again with other seeds; the best mean is the incumbent."""
    check_searched(work)
    run_list(work, CONFIRM, confirmation(work.study, work.entries("search")))
    best = incumbent(work.study, work.entries())
    write_best(work.study, work.entries(), best, work.place.root)


def check_searched(work: Work) -> None:
    """Refuse what needs a finished search."""
    ended = sum(entry.state != "running" for entry in work.entries("search"))
    if ended < work.study.budget.trials:
        raise UserError(
            f"--phases: the search is not finished ({ended} of {work.study.budget.trials} trials); "
            "run it first, with --resume where it was interrupted"
        )


def run_list(work: Work, phase: str, wanted: list[Proposal]) -> None:
    """Train, with the full budget and nobody stopped, what is not on record."""
    on_record = work.entries(phase)
    todo = missing(wanted, on_record)
    if not todo:
        return
    settled = {run.trial_id for run in wanted} - {run.trial_id for run in todo}
    earlier = [entry for entry in on_record if entry.trial_id in settled]
    cluster = work.cluster()
    cluster.pools.make_room(len(todo))
    begin = work.keeper.start(phase, len(wanted), earlier, cluster.pools.devices)
    tune_phase(cluster, work.keeper, Listed(todo, begin), FIFOScheduler(), work.drive)


def sensitivity(work: Work) -> None:
    """Train what the curves need: first each setting alone, then the strongest pairs."""
    check_searched(work)
    if not work.study.sensitivity.points:
        return
    best = incumbent(work.study, work.entries())
    curves = settled_plan(work, best).curves
    alone = sweep(work.study, best, curves.points, curves.seeds)
    run_list(work, SENSITIVITY, alone)
    ranked = [curve.name for curve in findings(work.study, work.entries(), best, 0.0).curves]
    pairs = [
        run
        for pair in strongest_pairs(ranked, curves.pairs)
        for run in corners(work.study, best, pair, curves.points, curves.seeds)
    ]
    run_list(work, SENSITIVITY, [*alone, *pairs])


def compare(work: Work) -> None:
    """Train every variant with every seed, seed by seed: what is there can be compared.

    Raises:
        UserError: a variant on record had other settings.
    """
    variants = compared(work.study)
    known = {e.trial_id: e for e in work.entries(COMPARE)}
    for name, runs in variants.items():
        for run in runs:
            if run.trial_id in known and known[run.trial_id].point != run.point:
                raise UserError(
                    f"compare.variants.{name}: trained with {known[run.trial_id].point} already, "
                    f"now {run.point}; give the changed variant another name"
                )
    by_seed = zip(*variants.values(), strict=True)
    run_list(work, COMPARE, [run for same_seed in by_seed for run in same_seed])


def tell_cost(work: Work, phase: str) -> None:
    """Say what a phase has cost, and what early stopping saved."""
    mine = work.entries(phase)
    if not mine:
        return
    study = work.study
    told = cost(phase, mine, study.budget.epochs, study.resources.price_per_hour)
    saved = ""
    if told.saved_epochs:
        whole = told.epochs + told.saved_epochs
        saved = f"; early stopping saved {told.saved_epochs} of {whole} epochs"
    money = "" if told.money is None else f", {told.money:.2f} in money"
    spent = f"{clock(told.device_seconds)} of device time{money}"
    runs, epochs = several(told.trials, "run"), several(told.epochs, "epoch")
    work.view.say(f"{phase}: {runs}, {epochs}, {spent}{saved}")


def report(work: Work) -> None:
    """Review the best model, draw the curves or the comparison, and write the report."""
    with importing():  # the model's code and drawing: seconds that no earlier phase needs
        from search import reporting  # noqa: PLC0415

    reporting.report(work)


STEPS: dict[str, Callable[[Work], None]] = {
    "search": search,
    "confirm": confirm,
    "sensitivity": sensitivity,
    "compare": compare,
    "final": final,
    "report": report,
}


def run_phases(work: Work, phases: Sequence[str]) -> None:
    """Run some phases in their order.

    Raises:
        UserError: a phase lacks what an earlier one makes, nothing worked, or no such phase.
        KeyboardInterrupt: the user wants an end; the study resumes.
    """
    for phase, run in STEPS.items():
        if phase in phases:
            run(work)
            write_card(work)
            tell_cost(work, phase)
