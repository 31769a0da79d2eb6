"""What happens to trials goes on record: ledger, tables, TensorBoard, the view, the checkpoints."""

import shutil
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import AUTO_RESULT_KEYS, DEBUG_METRICS

from muse.applied import fingerprint
from muse.checkpoint import LAST
from search.board import Board
from search.ledger import Entry, Ledger, State, write_csv
from search.searcher import Begin, Proposal, Unsaved
from search.study import Study
from search.view import View

TUNES_OWN = {*AUTO_RESULT_KEYS, *DEBUG_METRICS, "done", "experiment_tag"}
"""What Tune adds to a report."""

ABOUT = {"node", "fingerprint"}
"""Of a report: where the trial runs and what was built, not how it does."""

GIVE_UP_AFTER = 3
"""Failures of one kind in a row that end the search."""


def best_of(entries: list[Entry]) -> Entry | None:
    """The trial with the best score among those trained in full, else among the stopped ones."""
    for states in (("completed",), ("stopped",)):
        able = [e for e in entries if e.state in states and e.value is not None]
        if able:
            return max(able, key=lambda e: e.value or 0.0)
    return None


class Keeper(Unsaved, tune.Callback):  # type: ignore[misc]
    """Tune's callbacks, in the search's own process."""

    def __init__(self, study: Study, folder: Path, ledger: Ledger, view: View) -> None:
        self.study, self.folder, self.ledger, self.view = study, folder, ledger, view
        self.board = Board(folder / "tensorboard")
        self.devices = 1.0
        self.failures: list[str] = []
        self.kind = ""

    def start(self, phase: str, total: int, earlier: list[Entry], devices: float) -> Begin:
        """Get ready for the trials of a phase; returns what puts each on record."""
        self.devices = devices
        self.view.start(phase, total, earlier)

        def begin(proposal: Proposal) -> dict[str, Any]:
            self.ledger.ask(proposal.trial_id, phase, proposal.seed, proposal.point)
            self.view.begun(proposal.trial_id)
            config = self.study.config(proposal.point, proposal.seed).model_dump(mode="json")
            trial_folder = str((self.trial_folder(proposal.trial_id)).resolve())
            task = {
                "trial_id": proposal.trial_id,
                "config": config,
                "folder": trial_folder,
                "fingerprint": fingerprint(config),
                "export": phase == "search",  # nobody asks for the models of the curves
            }
            return {"task": task, "seen": proposal.seen}

        return begin

    def trial_folder(self, trial_id: str) -> Path:
        """Where a trial keeps its checkpoints."""
        return self.folder / "trials" / trial_id

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch has ended."""
        trial_id = trial.config["task"]["trial_id"]
        if "failed" not in result:
            figures = {name: result[name] for name in result.keys() - TUNES_OWN - ABOUT}
            self.ledger.report(trial_id, figures, self.devices)
            self.board.report(trial_id, figures)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial was trained in full, was stopped, or told us why it failed."""
        result = trial.last_result or {}
        failed = result.get("failed", "")
        if failed:
            self.end(trial, "failed", failed, result.get("kind", "error"))
        elif self.given_up:
            return  # Tune ends what still runs: it was interrupted, a resume takes it up again
        elif result["epoch"] < self.study.budget.epochs:
            self.end(trial, "stopped", f"ASHA after epoch {result['epoch']}")
        else:
            self.end(trial, "completed", "")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its driver was lost."""
        file = trial.error_file
        lines = Path(file).read_text(encoding="utf-8").strip().splitlines() if file else []
        reason = lines[-1] if lines else "its driver was lost"
        self.end(trial, "failed", reason, "worker lost")

    def end(self, trial: Any, state: State, reason: str, kind: str = "") -> None:
        """Put a trial's end on record and clear away the checkpoints nobody needs."""
        trial_id = trial.config["task"]["trial_id"]
        seconds = float(trial.last_result.get("elapsed", 0.0)) if trial.last_result else 0.0
        self.ledger.end(trial_id, state, seconds, self.devices, reason)
        self.count(reason if state == "failed" else "", kind)
        entries = self.ledger.entries()
        self.table(entries)
        self.clear(entries)
        entry = next(e for e in entries if e.trial_id == trial_id)
        self.board.end(entry)
        self.view.ended(entry, best_of([e for e in entries if e.phase == "search"]))

    def table(self, entries: list[Entry]) -> None:
        """Draw `trials.csv` anew."""
        config = self.study.base
        dump = config.model_dump()
        fixed = {f"{s}.{k}": dump[s][k] for s in ("cross", "loss", "train") for k in dump[s]}
        write_csv(entries, config.metric, fixed, self.folder / "trials.csv")

    def clear(self, entries: list[Entry]) -> None:
        """Keep the checkpoints of running trials and of the study's best."""
        best = best_of([e for e in entries if e.phase == "search"])
        for entry in entries:
            if entry.state == "running":
                continue
            if best is None or entry.trial_id != best.trial_id:
                shutil.rmtree(self.trial_folder(entry.trial_id), ignore_errors=True)
            else:
                (self.trial_folder(entry.trial_id) / LAST).unlink(missing_ok=True)

    def count(self, failure: str, kind: str) -> None:
        """Count failures of one kind in a row; a success, or another kind, begins anew."""
        same = self.failures if kind == self.kind else []
        self.failures = [*same, failure] if failure else []
        self.kind = kind

    @property
    def given_up(self) -> bool:
        """Whether so many trials failed in a row that going on is a waste."""
        return len(self.failures) >= GIVE_UP_AFTER
