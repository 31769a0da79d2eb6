"""What happens to trials goes on record: ledger, tables, TensorBoard, the view, the checkpoints."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import AUTO_RESULT_KEYS, DEBUG_METRICS

from muse.errors import UserError
from muse.fingerprint import fingerprint
from search.abroad import Abroad
from search.board import Board
from search.entry import Entry, Outcome, State, Word
from search.kept import Kept
from search.ledger import Ledger
from search.mirror import Mirror
from search.plan import COMPARE
from search.problems import way_out
from search.scheduler import rungs
from search.searcher import Begin, Proposal, Unsaved
from search.space import Point
from search.streak import streak_of
from search.study import Study
from search.table import write_csv
from search.view import View

TUNES_OWN = {*AUTO_RESULT_KEYS, *DEBUG_METRICS, "done", "experiment_tag"}
"""What Tune adds to a report."""

EXPORTED = ("search", "compare", "final")
"""Phases whose models somebody wants; nobody asks for those of the curves."""

SMALL_TABLE, REDRAW_AFTER = 100, 5.0
"""`trials.csv` is drawn anew at each end of so many trials, then at most every few seconds."""

WORDS = {"kind", "node", "fingerprint", "attempts", "devices"}
"""What workers say that is no figure of an epoch."""


def word(result: dict[str, Any]) -> Word:
    """What a report says besides its figures."""
    return Word(
        node=result.get("node", ""),
        kind=result.get("kind", ""),
        built_hash=result.get("fingerprint", ""),
        lost=int(result.get("attempts", 0)),
    )


def forget(trial: Any) -> None:
    """Let go of Tune's statistics of an ended trial, 25 KB that nobody asks for."""
    kept = getattr(trial, "run_metadata", None)
    if kept is not None:
        kept.metric_analysis.clear()
        kept.metric_n_steps.clear()


def guarded(call: Callable[..., None]) -> Callable[..., None]:
    """Tune takes an error in a callback for a trial's; here it ends the search in good order."""

    @wraps(call)
    def careful(self: "Keeper", *given: Any, **named: Any) -> None:
        if self.broken:
            return
        try:
            call(self, *given, **named)
        except UserError as error:
            self.broken = str(error)
        except OSError as error:
            # What PyArrow raises of a bucket has neither a file nor a short reason.
            place = error.filename or (self.abroad.url if self.abroad else self.folder)
            reason = error.strerror or " ".join(str(error).split())
            remedy = way_out(error) or "see to that"
            self.broken = f"{place}: cannot be written ({reason}); {remedy}, then --resume."

    return careful


class Keeper(Unsaved, tune.Callback):  # type: ignore[misc]
    """Tune's callbacks, in the search's own process."""

    def __init__(
        self,
        study: Study,
        folder: Path,
        ledger: Ledger,
        view: View,
        abroad: Abroad | None = None,
    ) -> None:
        """Nothing is on record yet.

        Args:
            study: whose trials.
            folder: the study's.
            ledger: of the study.
            view: told of every end.
            abroad: keeps the folder's twin in a bucket, where it has one.
        """
        self.study, self.folder, self.ledger, self.view = study, folder, ledger, view
        self.abroad = abroad
        shared = abroad.url if abroad else str(folder.resolve())
        self.kept = Kept(ledger, shared)
        self.board = Board(folder / "tensorboard")
        if study.compare is None:  # else nothing has a domain
            self.board.declare(study.space, study.base.metric)
        self.devices = 1.0
        self.streak = streak_of("search")
        self.ended, self.drawn = 0, 0.0
        self.mirror: Mirror | None = None
        """Optuna's journal, while the search runs."""
        self.broken = ""
        """Why nothing can be put on record any more."""

    def start(self, phase: str, total: int, earlier: list[Entry], devices: float) -> Begin:
        """Get ready for the trials of a phase; returns what puts each on record."""
        self.devices, self.streak = devices, streak_of(phase)
        self.view.start(phase, total, earlier)
        self.kept.catch_up()
        stops = rungs(self.study) if phase == "search" else ()

        def begin(proposal: Proposal) -> dict[str, Any]:
            config = self.study.config(proposal.point, proposal.seed).model_dump(mode="json")
            task = {
                "trial_id": proposal.trial_id,
                "config": config,
                "folder": self.kept.checkpoints.folder(proposal.trial_id),
                "fingerprint": fingerprint(config),
                "export": phase in EXPORTED,
                "test": phase == COMPARE,
                "rungs": stops,
            }
            self.ledger.hear(proposal.trial_id, Word(asked_hash=fingerprint(config)))
            epochs = self.study.budget.epochs
            self.ledger.ask(proposal.trial_id, phase, proposal.seed, proposal.point, epochs)
            if self.mirror is not None:
                self.mirror.begin(self.ledger.entry(proposal.trial_id))
            self.view.begun(proposal.trial_id)
            self.send_in_good_order()
            return {"task": task, "seen": proposal.seen}

        return begin

    @guarded
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch has ended."""
        trial_id = trial.config["task"]["trial_id"]
        if "failed" not in result:
            figures = {name: result[name] for name in result.keys() - TUNES_OWN - WORDS}
            self.ledger.hear(trial_id, word(result))
            # With its outcome: ASHA tells it once, and a resume would not ask again.
            outcome = self.outcome(result["epoch"]) if result.get("done") else None
            self.ledger.report(trial_id, figures, result.get("devices", self.devices), outcome)
            self.board.report(trial_id, figures)
            if self.mirror is not None:
                self.mirror.report(trial_id, figures)
            self.send()

    @guarded
    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial was trained in full, was stopped, or told us why it failed."""
        result = trial.last_result or {}
        failed = result.get("failed", "")
        if failed:
            self.end(trial, "failed", failed, result.get("kind", "error"))
        elif self.given_up:
            return  # Tune ends what still runs: it was interrupted, a resume takes it up again
        else:
            self.end(trial, *self.outcome(result["epoch"]))

    def outcome(self, epoch: int) -> Outcome:
        """How a trial ended that did not fail and is over after an epoch."""
        if epoch < self.study.budget.epochs:
            return "stopped", f"ASHA after epoch {epoch}"
        return "completed", ""

    @guarded
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its driver was lost."""
        file = trial.error_file
        lines = Path(file).read_text(encoding="utf-8").strip().splitlines() if file else []
        reason = lines[-1] if lines else "its driver was lost"
        self.end(trial, "failed", reason, "worker lost")

    def end(self, trial: Any, state: State, reason: str, kind: str = "") -> None:
        """Put a trial's end on record and clear away the checkpoints nobody needs."""
        trial_id = trial.config["task"]["trial_id"]
        result = trial.last_result or {}
        told = word(result)
        if state == "failed" and not told.kind:
            told = replace(told, kind=kind or "error")
        self.ledger.hear(trial_id, told)
        seconds = float(result.get("elapsed", 0.0))
        devices = result.get("devices", self.devices)
        self.ledger.end(trial_id, state, seconds, devices, reason)
        self.streak.add(reason if state == "failed" else "", kind)
        entry = self.ledger.entry(trial_id)
        if self.mirror is not None:
            self.mirror.end(entry)
        self.send()  # before its checkpoints go
        self.kept.clear(entry)
        self.board.end(entry)
        self.view.ended(entry, self.kept.best)
        forget(trial)
        self.ended += 1
        if self.ended <= SMALL_TABLE or time.monotonic() - self.drawn > REDRAW_AFTER:
            self.table()

    @guarded
    def charge(self, unended: dict[str, dict[str, float]]) -> None:
        """Put on record what trials have cost since their last epoch that nobody waits for."""
        for trial_id, cost in unended.items():
            self.ledger.charge(trial_id, cost["elapsed"], cost["devices"])

    def table(self) -> None:
        """Draw `trials.csv` anew."""
        file = self.folder / "trials.csv"
        write_csv(self.ledger.entries(), self.study.base.metric, self.fixed, file)
        self.drawn = time.monotonic()

    def fixed(self, entry: Entry) -> Point:
        """What a trial had of the settings that are not searched.

        Nothing where they are others now: the ledger keeps no more of them than a fingerprint.
        """
        try:
            config = self.study.config(entry.point, entry.seed).model_dump(mode="json")
        except UserError:  # they do not even fit together any more
            return {}
        if entry.asked_hash not in ("", fingerprint(config)):
            return {}
        return {f"{s}.{k}": config[s][k] for s in ("cross", "loss", "train") for k in config[s]}

    def send(self) -> None:
        """Keep the twin's ledger level with its checkpoints: a resume needs both."""
        if self.abroad is not None:
            self.abroad.send()

    @guarded
    def send_in_good_order(self) -> None:
        """The same outside of a callback: a bucket that stays away ends the search, too."""
        self.send()

    @guarded
    def close(self) -> None:
        """Leave the table as the ledger is, after Ctrl-C too, and end TensorBoard's files."""
        # Not self.ended: Ctrl-C may come while a trial's end is being told.
        asked = self.ledger.entries()
        if any(entry.state != "running" for entry in asked):
            self.table()
        self.board.close()
        if asked and self.abroad is not None:  # a study that never began leaves nothing there
            self.abroad.send(everything=True)

    @property
    def given_up(self) -> bool:
        """Whether going on is a waste: trials fail in a row, or cannot be put on record."""
        return bool(self.broken) or self.streak.is_over
