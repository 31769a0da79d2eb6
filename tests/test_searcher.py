"""Optuna learns the truth, before and after an interruption; called as Tune calls it."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.entry import Entry
from search.ledger import Ledger
from search.prior import Known, Prior
from search.searcher import Listed, Proposal, Truthful, build_optuna
from search.study import Study

EPOCHS = 4
SPACE = {
    "cross.theta": {"low": 0.0, "high": 0.5},
    "cross.mu": {"low": 0, "high": 3},
    "cross.eta": {"low": 1, "high": 4},
    "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
}
FIRST = [
    {"cross.theta": 0.1, "cross.mu": 1, "cross.eta": 4, "loss.alpha": 1e-4},
    {"cross.theta": 0.2, "cross.mu": 0, "cross.eta": 1, "loss.alpha": 1e-3},
]


def build_study(trials: int = 6, searcher: str = "tpe", first: int = 2, startup: int = 2) -> Study:
    return Study.model_validate(
        {
            "preset": "tiny",
            "space": SPACE,
            "budget": {"trials": trials, "epochs": EPOCHS},
            "searcher": {"name": searcher, "startup": startup},
            "first_points": FIRST[:first],
        }
    )


class Session:
    """Tune, as far as a searcher sees it, with a ledger that keeps what happens."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.asked: list[Proposal] = []
        self.searcher = Truthful(study, self.ledger.entries(), self.begin)

    def begin(self, proposal: Proposal) -> dict[str, Any]:
        self.ledger.ask(proposal.trial_id, "search", proposal.seed, proposal.point)
        self.asked.append(proposal)
        return {"task": proposal.trial_id}

    def next(self) -> Proposal | None:
        """Ask for a trial, with an id of Tune's own."""
        given = self.searcher.suggest(f"tune-{len(self.asked)}")
        return None if given == Searcher.FINISHED else self.asked[-1]

    def run(self, proposal: Proposal, values: list[float], failed: str = "") -> None:
        """Report epoch by epoch; the report that ends a trial comes with its completion only."""
        tune_id = f"tune-{self.asked.index(proposal)}"
        reports = [
            {"epoch": epoch, "value": value, "best": max(values[: number + 1])}
            for number, (epoch, value) in enumerate(enumerate(values, start=proposal.seen + 1))
        ]
        for report in reports:
            self.ledger.report(proposal.trial_id, report, 1.0)
            if failed or report is not reports[-1]:
                self.searcher.on_trial_result(tune_id, report)
        last = reports[-1] if reports else {"epoch": proposal.seen, "best": 0.0}
        if failed:
            last = {**last, "failed": failed}
            self.searcher.on_trial_result(tune_id, last)
        state = "failed" if failed else "completed" if last["epoch"] == EPOCHS else "stopped"
        self.ledger.end(proposal.trial_id, state, 0.0, 1.0, failed)
        self.searcher.on_trial_complete(tune_id, last)

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return self.searcher.optuna.get_trials()

    def close(self) -> None:
        self.ledger.close()


@pytest.fixture
def sessions(tmp_path: Path) -> Any:
    """Makes sessions on one ledger."""
    made: list[Session] = []

    def make(study: Study) -> Session:
        made.append(Session(study, tmp_path))
        return made[-1]

    yield make
    for session in made:
        session.close()


def ask(session: Session) -> Proposal:
    proposal = session.next()
    assert proposal is not None
    return proposal


def test_a_stopped_trial_is_pruned_with_all_its_values(sessions: Any) -> None:
    session = sessions(build_study())
    session.run(ask(session), [0.2, 0.5, 0.3])
    trial = session.trials[0]
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.2, 2: 0.5, 3: 0.3}


def test_a_completed_trial_counts_with_its_best_score(sessions: Any) -> None:
    session = sessions(build_study())
    session.run(ask(session), [0.2, 0.9, 0.3, 0.4])
    trial = session.trials[0]
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.9)
    assert trial.intermediate_values == {1: 0.2, 2: 0.9, 3: 0.3, 4: 0.4}


def test_a_failed_trial_is_a_failure_and_no_low_score(sessions: Any) -> None:
    session = sessions(build_study())
    session.run(ask(session), [0.2], failed="the loss is not finite")
    trial = session.trials[0]
    assert (trial.state, trial.value) == (TrialState.FAIL, None)


def test_a_trial_that_failed_before_its_first_report_is_a_failure(sessions: Any) -> None:
    session = sessions(build_study())
    session.run(ask(session), [], failed="no memory")
    assert session.trials[0].state == TrialState.FAIL


@pytest.mark.parametrize(
    "arguments",
    [
        {"error": True},
        {"error": True, "result": {"epoch": EPOCHS, "value": 0.5, "best": 0.5}},
        {"result": None},
        {"result": {}},
    ],
)
def test_a_lost_driver_is_a_failure(sessions: Any, arguments: dict[str, Any]) -> None:
    session = sessions(build_study())
    ask(session)
    session.searcher.on_trial_complete("tune-0", **arguments)
    assert session.trials[0].state == TrialState.FAIL


def test_first_points_are_asked_first(sessions: Any) -> None:
    session = sessions(build_study())
    asked = [ask(session) for _ in range(3)]
    assert [p.point for p in asked[:2]] == FIRST
    assert asked[2].point not in FIRST


def test_what_a_first_point_leaves_out_is_drawn(sessions: Any) -> None:
    study = Study.model_validate(
        {**build_study().model_dump(), "first_points": [{"cross.theta": 0.3}]}
    )
    point = ask(sessions(study)).point
    assert point["cross.theta"] == 0.3
    assert point.keys() == SPACE.keys()


def test_first_points_are_not_asked_again_after_a_resume(sessions: Any) -> None:
    before = sessions(build_study())
    before.run(ask(before), [0.1] * EPOCHS)

    after = sessions(build_study())

    assert ask(after).point == FIRST[1]
    assert ask(after).point not in FIRST


def test_unfinished_trials_come_first_again_as_they_were(sessions: Any) -> None:
    before = sessions(build_study())
    asked = [ask(before) for _ in range(4)]
    before.run(asked[1], [0.5] * EPOCHS)
    for epoch in (1, 2):
        before.ledger.report(asked[2].trial_id, {"epoch": epoch, "value": epoch / 10}, 1.0)

    after = sessions(build_study())
    again = [ask(after) for _ in range(3)]

    assert [(p.trial_id, p.point, p.seed) for p in again] == [
        (p.trial_id, p.point, p.seed) for p in (asked[0], asked[2], asked[3])
    ]
    assert [p.seen for p in again] == [0, 2, 0]


@pytest.mark.parametrize("interrupted", [1, 4])  # of two first points
def test_optuna_draws_the_very_points_that_run_again(sessions: Any, interrupted: int) -> None:
    before = sessions(build_study())
    asked = [ask(before) for _ in range(interrupted)]

    after = sessions(build_study())
    for _ in range(interrupted):
        ask(after)

    drawn = [trial.params for trial in after.trials[:interrupted]]
    assert drawn == [p.point for p in asked]


def test_a_trial_that_was_interrupted_keeps_its_early_values(sessions: Any) -> None:
    before = sessions(build_study())
    before.ledger.report(ask(before).trial_id, {"epoch": 1, "value": 0.7, "best": 0.7}, 1.0)

    after = sessions(build_study())
    after.run(ask(after), [0.2, 0.3])

    assert after.trials[0].intermediate_values == {1: 0.7, 2: 0.2, 3: 0.3}
    assert after.trials[0].state == TrialState.PRUNED


@pytest.mark.parametrize("searcher", ["tpe", "random"])
def test_the_number_of_trials_is_exact(sessions: Any, searcher: str) -> None:
    session = sessions(build_study(trials=5, searcher=searcher))
    while (proposal := session.next()) is not None:
        session.run(proposal, [0.1] * EPOCHS)
    assert [p.trial_id for p in session.asked] == [f"search-{n:04d}" for n in range(5)]


def test_the_number_of_trials_is_exact_over_an_interruption(sessions: Any) -> None:
    before = sessions(build_study(trials=5))
    asked = [ask(before) for _ in range(3)]
    before.run(asked[0], [0.1] * EPOCHS)

    after = sessions(build_study(trials=5))
    while (proposal := after.next()) is not None:
        after.run(proposal, [0.1] * (EPOCHS - proposal.seen))

    assert [e.trial_id for e in after.ledger.entries()] == [f"search-{n:04d}" for n in range(5)]
    assert {e.state for e in after.ledger.entries()} == {"completed"}
    assert [p.trial_id for p in after.asked] == [f"search-{n:04d}" for n in range(1, 5)]


def test_the_last_trials_run_again_though_no_new_one_is_left(sessions: Any) -> None:
    before = sessions(build_study(trials=2))
    asked = [ask(before) for _ in range(2)]

    after = sessions(build_study(trials=2))

    assert [ask(after).trial_id for _ in range(2)] == [p.trial_id for p in asked]
    assert after.next() is None


def test_all_trials_of_a_search_have_the_studys_seed(sessions: Any) -> None:
    session = sessions(build_study())
    assert {ask(session).seed for _ in range(4)} == {build_study().seed}


def test_a_study_that_is_complete_asks_for_nothing(sessions: Any) -> None:
    before = sessions(build_study(trials=1))
    before.run(ask(before), [0.1] * EPOCHS)
    assert sessions(build_study(trials=1)).next() is None


def test_a_study_can_be_extended(sessions: Any) -> None:
    before = sessions(build_study(trials=1))
    before.run(ask(before), [0.1] * EPOCHS)
    assert ask(sessions(build_study(trials=2))).trial_id == "search-0001"


def test_optuna_built_from_the_ledger_knows_what_it_knew(sessions: Any) -> None:
    before = sessions(build_study())
    before.run(ask(before), [0.2, 0.9, 0.3, 0.4])
    before.run(ask(before), [0.2, 0.1])
    before.run(ask(before), [0.3], failed="no memory")
    before.run(ask(before), [], failed="no memory")
    before.run(ask(before), [0.1])

    after = sessions(build_study())

    def known(session: Session) -> list[Any]:
        return [
            (t.number, t.state, t.values, t.params, t.distributions, t.intermediate_values)
            for t in session.trials
        ]

    assert known(after) == known(before)


@pytest.mark.parametrize("searcher", ["tpe", "random"])
def test_a_resume_does_not_draw_again_what_was_drawn(sessions: Any, searcher: str) -> None:
    study = build_study(trials=12, searcher=searcher, first=0, startup=20)
    before = sessions(study)
    for _ in range(6):
        before.run(ask(before), [0.1] * EPOCHS)

    after = sessions(study)
    points = [e.point for e in after.ledger.entries()]
    points += [ask(after).point for _ in range(6)]

    assert len({point["cross.theta"] for point in points}) == 12


@pytest.mark.parametrize("searcher", ["tpe", "random"])
def test_the_same_seed_proposes_the_same(tmp_path: Path, searcher: str) -> None:
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        session = Session(build_study(searcher=searcher), tmp_path / name)
        for _ in range(6):
            session.run(ask(session), [0.1 * len(session.asked)] * EPOCHS)
        drawn.append([p.point for p in session.asked])
        session.close()
    assert drawn[0] == drawn[1]


def test_tpe_finds_a_planted_optimum_better_than_chance(tmp_path: Path) -> None:
    means = {}
    for searcher in ("tpe", "random"):
        (tmp_path / searcher).mkdir()
        study = build_study(trials=40, searcher=searcher, first=0, startup=8)
        session = Session(study, tmp_path / searcher)
        scores = []
        while (proposal := session.next()) is not None:
            scores.append(1 - abs(float(proposal.point["cross.theta"]) - 0.3))
            session.run(proposal, [scores[-1]] * EPOCHS)
        means[searcher] = sum(scores[20:]) / 20
        session.close()
    assert means["tpe"] > means["random"] + 0.02


def test_a_value_that_only_an_early_epoch_had_is_the_score(sessions: Any) -> None:
    session = sessions(build_study())
    session.run(ask(session), [0.8, 0.1, 0.1, 0.1])
    after: Entry = session.ledger.entries()[0]
    assert session.trials[0].value == after.value == 0.8


def test_a_list_is_handed_out_once_and_in_order() -> None:
    proposals = [Proposal(f"p{n}", {}, n) for n in range(3)]
    searcher = Listed(proposals, lambda proposal: {"task": proposal.trial_id})

    given = [searcher.suggest(f"tune-{n}") for n in range(4)]

    assert given == [{"task": "p0"}, {"task": "p1"}, {"task": "p2"}, Searcher.FINISHED]
    assert len(proposals) == 3  # the caller's own list stays


def test_an_empty_ledger_gives_an_optuna_that_has_only_first_points_waiting() -> None:
    trials = build_optuna(build_study(), []).get_trials()
    assert [t.state for t in trials] == [TrialState.WAITING] * 2


def prior_of(session: Session) -> Prior:
    """What a session found out, as another study is given it."""
    trials = [
        Known(trial_id=e.trial_id, point=e.point, value=e.value or 0.0, epochs=EPOCHS)
        for e in session.ledger.entries()
    ]
    return Prior(folder="earlier", trials=trials)


@pytest.mark.parametrize("searcher", ["tpe", "random"])
def test_what_an_earlier_study_of_the_same_seed_has_trained_is_not_trained_again(
    searcher: str, tmp_path: Path
) -> None:
    study = build_study(trials=4, searcher=searcher, startup=50)
    first = Session(study, tmp_path)
    while (proposal := first.next()) is not None:
        first.run(proposal, [0.1, 0.2, 0.3, 0.4])
    later: list[Any] = []
    again = Truthful(study, [], lambda given: later.append(given.point) or {}, [prior_of(first)])
    while again.suggest(f"tune-{len(later)}") != Searcher.FINISHED:
        pass
    assert len(later) == 4
    assert not [point for point in later if point in [given.point for given in first.asked]]
