"""The benchmark of what a search costs: every way goes, and costs are counted as it says."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import search_cost
from benchmarks.search_cost import DROPOUTS, RATES, WAYS, cost, print_costs, searched
from muse.config import MuseConfig


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[MuseConfig]:
    """Nothing is trained: each epoch takes a second and scores the more the less dropout there is.

    Returns the configurations that were to be trained.
    """
    asked: list[MuseConfig] = []

    def train(config: MuseConfig, tensors: Any) -> Iterator[tuple[dict[str, float], float]]:
        asked.append(config)
        for epoch in range(1, config.train.epochs + 1):
            value = epoch * (1 - config.cross.dropout)
            yield {"epoch": epoch, "value": value, "best": value, "best_epoch": epoch}, 1.0

    monkeypatch.setattr(search_cost, "train", train)
    monkeypatch.setattr(search_cost, "prepare", lambda _: None)
    return asked


@pytest.mark.parametrize("way", WAYS)
def test_every_way_spends_its_budget(quick: list[MuseConfig], way: str) -> None:
    epochs = searched(way, 3)
    budget = len(quick) * quick[0].train.epochs
    assert len(quick) == 12
    assert len(epochs) < budget if way == "ours" else len(epochs) == budget


def test_the_grid_is_the_authors_in_an_order_of_its_own(quick: list[MuseConfig]) -> None:
    first, second = (searched("grid", seed) for seed in (0, 1))
    assert first != second
    for half in (quick[:12], quick[12:]):
        points = {(config.train.learning_rate, config.cross.dropout) for config in half}
        assert points == {(rate, dropout) for rate in RATES for dropout in DROPOUTS}


def test_costs_count_until_the_target() -> None:
    epochs = [(0.5, 2.0), (0.9, 3.0), (0.7, 4.0)]
    assert cost(epochs, 0.9) == (2, 5.0, True)
    assert cost(epochs, 0.95) == (3, 9.0, False)


def test_the_table_names_how_many_came_there(capsys: pytest.CaptureFixture[str]) -> None:
    late, never = [(0.5, 2.0), (1.0, 2.0)], [(0.5, 2.0), (0.6, 2.0)]
    print_costs({("ours", 0): [(1.0, 2.0)], ("grid", 0): never, ("random", 0): late})
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("best known score 1.0000")
    shares = [" ".join(line.split(", ")[0].split()) for line in told[1::2]]
    assert shares == [
        "ours 1 of 1 came there (1 in 1 epochs)",
        "grid 0 of 1 came there (0 in 1 epochs)",
        "random 1 of 1 came there (0 in 1 epochs)",
    ]
    assert told[4].strip() == "2 epochs in all"
    assert told[3].endswith("CPU seconds 4.0 (4.0 to 4.0), found 0.600")
