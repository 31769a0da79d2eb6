"""A Study to its results: fresh or resumed, phase by phase."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import tune
from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from muse.errors import UserError
from muse.tensors import Tensors
from search.board import Board
from search.cluster import HEAD, Cluster
from search.desk import Task
from search.folder import StudyFolder
from search.keeper import Keeper, best_of
from search.ledger import Entry, Ledger
from search.scheduler import build_scheduler
from search.searcher import Listed, Truthful, Unsaved
from search.sensitivity import PHASE, curve, draw, means, sweep, write_curve
from search.space import short, within
from search.study import Study
from search.trial import AsManyAsFit, drive
from search.view import View


class GivenUp(Unsaved, Stopper):  # type: ignore[misc]
    """Ends a search in which nothing works."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self.keeper.given_up


def tune_phase(
    cluster: Cluster, keeper: Keeper, searcher: Listed, scheduler: TrialScheduler
) -> None:
    """Run the proposals of a searcher through Ray Tune.

    Raises:
        UserError: trial after trial failed.
    """
    driver = tune.with_parameters(drive, desk=cluster.desk)
    scratch = tempfile.mkdtemp(prefix="muse-tune-")  # Tune insists; the ledger has all of it
    try:
        tune.Tuner(
            tune.with_resources(driver, {"cpu": 0, HEAD: 0.001}),
            tune_config=tune.TuneConfig(
                search_alg=AsManyAsFit(searcher, cluster),
                scheduler=scheduler,
                num_samples=-1,  # until the searcher has finished
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch, callbacks=[keeper], stop=GivenUp(keeper), verbose=0
            ),
        ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if keeper.given_up:
        raise UserError(
            f"the last {len(keeper.failures)} trials failed ({keeper.kind}), so the search has "
            f"stopped: {keeper.failures[-1]}"
        )


def search_phase(study: Study, cluster: Cluster, keeper: Keeper, ledger: Ledger) -> Entry:
    """Search, and return the best trial."""
    earlier = ledger.entries("search")
    begin = keeper.start("search", study.budget.trials, earlier, cluster.devices)
    searcher = Truthful(study, earlier, begin)
    tune_phase(cluster, keeper, searcher, build_scheduler(study, earlier))
    best = best_of(ledger.entries("search"))
    if best is None:
        raise UserError("no trial of the search ended with a score; see the reasons in trials.csv")
    return best


def sensitivity_phase(
    study: Study, best: Entry, cluster: Cluster, keeper: Keeper, ledger: Ledger
) -> None:
    """Train what the curves need and is not on record."""
    wanted = sweep(study, best)
    ids = {proposal.trial_id for proposal in wanted}
    known = {e.trial_id: e for e in ledger.entries(PHASE) if e.trial_id in ids}
    ended = {trial_id for trial_id, entry in known.items() if entry.state != "running"}
    missing = [
        replace(p, seen=known[p.trial_id].epochs if p.trial_id in known else 0)
        for p in wanted
        if p.trial_id not in ended
    ]
    begin = keeper.start(PHASE, len(wanted), list(known.values()), cluster.devices)
    if missing:
        tune_phase(cluster, keeper, Listed(missing, begin), FIFOScheduler())


def draw_curves(
    study: Study, best: Entry, entries: list[Entry], board: Board, folder: Path
) -> None:
    """`sensitivity/<knob>.csv` and `.png`, and the same in TensorBoard."""
    folder.mkdir(exist_ok=True)
    for name in study.space:
        runs = curve(entries, best, name)
        knob = within(study.space, name, {**study.fixed, **best.point})
        figure = draw(runs, knob, name, study.base.metric, best.point[name])
        write_curve(runs, folder / f"{short(name)}.csv")
        figure.savefig(folder / f"{short(name)}.png", dpi=150)
        board.curve(short(name), figure, list(means(runs).values()))


def test_scores(cluster: Cluster, study: Study, best: Entry, folder: Path) -> Mapping[str, float]:
    """The best model's scores on the test split, taken once."""
    config = study.config(best.point, best.seed).model_dump(mode="json")
    task = Task("test", config, str(folder.resolve()), work="score")
    ray.get(cluster.desk.put.remote(task))
    message = ray.get(cluster.desk.next.remote("test", 0))
    ray.get(cluster.desk.leave.remote("test"))
    if "failed" in message:
        raise UserError(f"the best model could not be scored on test: {message['failed']}")
    scores: Mapping[str, float] = message["result"]
    return scores


def export_best(keeper: Keeper, best: Entry, folder: Path) -> None:
    """Put the best trial's model at `best/`."""
    made = keeper.trial_folder(best.trial_id) / "best"
    if made.exists():
        shutil.rmtree(folder / "best", ignore_errors=True)
        shutil.copytree(made, folder / "best")


def write_best(study: Study, best: Entry, test: Mapping[str, float], file: Path) -> None:
    """The best settings and scores, as a file that `--set` and people can read."""
    about = {
        "trial_id": best.trial_id,
        "metric": study.base.metric,
        "value": best.value,
        "epochs": best.epochs,
        "seed": best.seed,
        "settings": best.point,
        "test": dict(test) or "this corpus has no test split",
    }
    file.write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")


def settle(ledger: Ledger, epochs: int) -> None:
    """End the trials that had done all their epochs when an interruption came."""
    for entry in ledger.entries():
        if entry.state == "running" and entry.epochs >= epochs:
            ledger.end(entry.trial_id, "completed", 0.0, 0.0, "")


def run_study(
    study: Study, place: StudyFolder, tensors: Tensors, view: View, address: str | None
) -> Entry:
    """Search, draw the curves, score the best once on test.

    Args:
        study: what to do.
        place: the study's folder, fresh or interrupted.
        tensors: its corpus, prepared.
        view: told of everything.
        address: a Ray cluster; None is this machine.

    Returns:
        The best trial.

    Raises:
        UserError: nothing worked, or the cluster is too small.
        KeyboardInterrupt: the user wants an end; the study resumes.
    """
    ledger = Ledger(place.ledger)
    settle(ledger, study.budget.epochs)
    keeper = Keeper(study, place.root, ledger, view)
    try:
        with Cluster(study, place.root, address) as cluster:
            best = search_phase(study, cluster, keeper, ledger)
            export_best(keeper, best, place.root)
            test = test_scores(cluster, study, best, place.root) if "test" in tensors.splits else {}
            write_best(study, best, test, place.root / "best.yaml")
            if study.sensitivity.points:
                sensitivity_phase(study, best, cluster, keeper, ledger)
        if study.sensitivity.points:
            curves = place.root / "sensitivity"
            draw_curves(study, best, ledger.entries(), keeper.board, curves)
    finally:
        keeper.board.close()
        ledger.close()
    shutil.rmtree(place.root / "trials", ignore_errors=True)
    shutil.rmtree(place.root / ".ray", ignore_errors=True)
    return best
