"""Phases in their order, on a ledger; a stand-in for Ray ends every run at once."""

from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rich.console import Console
from sample_entries import EPOCHS, POINT, sample_study

from muse.errors import UserError
from search import phases
from search.best import read_best
from search.keeper import Keeper
from search.ledger import Ledger
from search.phases import run_phases
from search.plan import CONFIRM, SENSITIVITY
from search.view import View

Score = Callable[[dict[str, Any]], float | None]


class Study:
    """A study at work whose runs score what a function says; None fails."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.study = sample_study(**fields)
        self.place = SimpleNamespace(root=folder, priors=())
        self.ledger = Ledger(folder / "ledger.db")
        self.output = StringIO()
        self.view = View("mine", "valid_f1", Console(file=self.output))
        self.keeper = Keeper(self.study, folder, self.ledger, self.view)
        self.agree = self.drive = None
        self.entries = self.ledger.entries
        self.score: Score = lambda point: 0.8 - point["cross.theta"]
        self.trained: list[str] = []
        self.most = 10**6
        """Runs until Ctrl-C."""
        self.room: list[int] = []
        """Trials for which room was asked."""

    def cluster(self) -> Any:
        pools = SimpleNamespace(devices=1.0, concurrent=2, most=2, make_room=self.room.append)
        return SimpleNamespace(pools=pools)

    def search(self, trials: int = 4) -> None:
        """Put a finished search on record."""
        for k in range(trials):
            self.put(f"search-{k:04d}", "search", 7, {**POINT, "cross.theta": 0.1 + k / 100})

    def put(self, trial_id: str, phase: str, seed: int, point: dict[str, Any]) -> None:
        self.ledger.ask(trial_id, phase, seed, point)
        score = self.score(point)
        for epoch in range(1, EPOCHS + 1 if score is not None else 1):
            self.ledger.report(trial_id, {"epoch": epoch, "value": score}, 1.0)
        self.ledger.end(trial_id, "failed" if score is None else "completed", 1.0, 1.0, "")

    def tune(self, _: Any, keeper: Keeper, searcher: Any, *__: Any) -> None:
        """What `tune_phase` does, without Ray."""
        while searcher.waiting:
            proposal = searcher.waiting.pop(0)
            if len(self.trained) == self.most:
                self.ledger.ask(proposal.trial_id, keeper.view.phase, proposal.seed, proposal.point)
                raise KeyboardInterrupt
            self.trained.append(proposal.trial_id)
            self.put(proposal.trial_id, keeper.view.phase, proposal.seed, proposal.point)

    def run(self, *names: str) -> list[str]:
        """Run phases; returns what was trained in them."""
        before = len(self.trained)
        run_phases(self, names)  # type: ignore[arg-type]
        return self.trained[before:]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Study]]:
    made: list[Study] = []

    def begin(**fields: Any) -> Study:
        made.append(Study(tmp_path, **fields))
        monkeypatch.setattr(phases, "tune_phase", made[-1].tune)
        return made[-1]

    yield begin
    for study in made:
        study.keeper.board.close()
        study.ledger.close()


Start = Callable[..., Study]


@pytest.mark.parametrize("phase", ["confirm", "sensitivity"])
@pytest.mark.parametrize("trials", [0, 3])
def test_without_a_finished_search_a_phase_is_refused_in_one_line(
    start: Start, phase: str, trials: int
) -> None:
    study = start()
    study.search(trials)
    with pytest.raises(UserError, match=f"not finished .{trials} of 4 trials") as error:
        study.run(phase)
    assert "\n" not in str(error.value)
    assert study.trained == []


@pytest.mark.parametrize("phase", ["sensitivity", "report"])
def test_without_a_confirmation_a_phase_is_refused_in_one_line(start: Start, phase: str) -> None:
    study = start()
    study.search()
    with pytest.raises(UserError, match="run the phase confirm first"):
        study.run(phase)


def test_the_best_three_are_confirmed_and_the_best_mean_is_told(start: Start) -> None:
    study = start()
    study.search()
    assert len(study.run("confirm")) == 3 * 3
    about = read_best(study.place.root)
    assert about["trial_id"] == "search-0000"
    assert about["confirmed"]["by_seed"].keys() == {107, 108, 109}


def test_curves_and_pairs_are_trained_around_the_incumbent(start: Start) -> None:
    study = start()
    study.search()
    made = study.run("confirm", "sensitivity")[9:]
    assert all(trial_id.startswith("search-0000-") for trial_id in made)
    assert len(made) == len(set(made)) == 3 * (1 + 5 + 2 + 2 + 4) + 3 * 4
    plan = yaml.safe_load((study.place.root / "plan.yaml").read_text())
    assert plan["incumbent"] == "search-0000"


def test_phases_run_in_their_order_whatever_the_order_given(start: Start) -> None:
    study = start()
    study.search()
    assert study.run("sensitivity", "confirm")[0].startswith("confirm-")


def test_a_phase_gets_room_for_all_its_runs_however_few_the_search_had(start: Start) -> None:
    study = start()
    study.search()
    trained = [len(study.run(phase)) for phase in ("confirm", "sensitivity")]
    alone, pairs = study.room[1:]
    assert [study.room[0], alone + pairs] == trained


def test_nothing_is_trained_twice(start: Start) -> None:
    study = start()
    study.search()
    study.run("confirm", "sensitivity")
    assert study.run("confirm", "sensitivity") == []


def test_a_finished_search_is_not_searched_again(start: Start) -> None:
    study = start()
    study.search()
    assert study.run("search") == []
    assert read_best(study.place.root)["trial_id"] == "search-0000"


def test_an_interrupted_curve_goes_on_where_it_was(start: Start) -> None:
    whole = 9 + 3 * (1 + 5 + 2 + 2 + 4) + 3 * 4
    study = start()
    study.search()
    study.most = 20
    with pytest.raises(KeyboardInterrupt):
        study.run("confirm", "sensitivity")
    study.most = 10**6
    study.run("confirm", "sensitivity")
    assert len(study.trained) == len(set(study.trained)) == whole


def test_a_value_that_fails_is_trained_no_more_and_the_curves_go_on(start: Start) -> None:
    study = start()
    study.search()
    study.score = lambda point: None if point["loss.alpha"] == 0.1 else 0.5
    study.run("confirm", "sensitivity")
    failed = [e for e in study.entries(SENSITIVITY) if e.state == "failed"]
    assert len(failed) >= 3
    assert study.run("sensitivity") == []


def test_a_confirmation_in_which_every_candidate_failed_is_one_line(start: Start) -> None:
    study = start()
    study.search()
    study.score = lambda _: None
    with pytest.raises(UserError, match="every candidate failed"):
        study.run("confirm")


def test_a_search_in_which_nothing_worked_is_one_line(start: Start) -> None:
    study = start()
    study.score = lambda _: None
    study.search()
    with pytest.raises(UserError, match="no trial of the search ended with a score"):
        study.run("search")


def test_no_points_draw_no_curves(start: Start) -> None:
    study = start(sensitivity={"points": 0})
    study.search()
    assert len(study.run("confirm", "sensitivity")) == 9


def test_what_a_phase_cost_is_told(start: Start) -> None:
    study = start(resources={"price_per_hour": 4.0})
    study.search()
    study.run("confirm")
    told = "confirm: 9 runs, 18 epochs, 0 min 09 s of device time, 0.01 in money"
    assert told in study.output.getvalue()


def test_the_confirmation_is_on_record_with_its_phase(start: Start) -> None:
    study = start()
    study.search()
    study.run("confirm")
    assert {(e.phase, e.state) for e in study.entries(CONFIRM)} == {("confirm", "completed")}


COMPARED: dict[str, Any] = {
    "space": {},
    "fixed": POINT,
    "compare": {"seeds": 2, "variants": {"no-exchange": {"cross.theta": 0.0}}},
}


def compared(start: Start) -> Study:
    study = start(**COMPARED)
    study.score = lambda point: 0.8 - point.get("cross.theta", 0.1)
    return study


def test_a_comparison_trains_every_variant_with_every_seed_seed_by_seed(start: Start) -> None:
    assert compared(start).run("compare") == [
        "compare-muse-seed307",
        "compare-no-exchange-seed307",
        "compare-muse-seed308",
        "compare-no-exchange-seed308",
    ]


def test_an_interrupted_comparison_goes_on_and_nothing_is_trained_twice(start: Start) -> None:
    study = compared(start)
    study.most = 3
    with pytest.raises(KeyboardInterrupt):
        study.run("compare")
    study.most = 10**6
    assert study.run("compare") == ["compare-no-exchange-seed308"]
    assert study.run("compare") == []


def test_a_variant_whose_settings_changed_under_its_name_is_refused(start: Start) -> None:
    study = compared(start)
    study.run("compare")
    other = {**COMPARED["compare"], "variants": {"no-exchange": {"cross.theta": 0.3}}}
    study.study = sample_study(**{**COMPARED, "compare": other})
    with pytest.raises(UserError, match=r"no-exchange: trained with .*0\.0.* already, now .*0\.3"):
        study.run("compare")
