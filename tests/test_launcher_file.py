"""What a search takes from a cluster file: paths, room for trials, and mistakes in one line."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sample_entries import sample_study

from muse.errors import UserError
from search.cluster_check import launcher
from search.cluster_check.cluster_file import read
from search.launcher_file import LauncherFile, read_launcher_file
from search.options import build_parser

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def shipped(name: str = "cluster.yaml", **changes: Any) -> LauncherFile:
    content = {**read(ROOT / name)[1], **changes}
    return LauncherFile(Path(name), launcher.filled(content, StringIO()))


def test_a_path_is_where_the_file_brings_it() -> None:
    file = shipped()
    assert file.there(ROOT / "experiments/quickstart.yaml", "it").endswith(
        "muse-search/experiments/quickstart.yaml"
    )
    assert file.there(Path("data/twitter2015"), "--data") == "~/data/twitter2015"
    assert file.checkout() == "~/muse-search"


def test_a_path_that_does_not_come_to_the_cluster_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cluster.yaml, file_mounts: --data, .* does not come"):
        shipped().there(tmp_path, "--data")


def test_eight_machines_of_a_gpu_are_eight_trials_and_each_wants_its_gpu() -> None:
    assert shipped().room(sample_study()) == {
        "resources.gpus_per_worker": 1.0,
        "resources.concurrent": 8,
    }


@pytest.mark.parametrize(
    ("asked", "concurrent"),
    [
        ({"workers": 2}, 4),
        ({"gpus_per_worker": 0.5}, 16),
        ({"gpus_per_worker": 0}, 32),
        ({"gpus_per_worker": 0, "cpus_per_worker": 3}, 8),
        ({"concurrent": 3}, None),
    ],
)
def test_what_the_study_asks_decides_how_many_fit(
    asked: dict[str, Any], concurrent: int | None
) -> None:
    assert shipped().room(sample_study(resources=asked)).get("resources.concurrent") == concurrent


def test_the_best_machines_are_counted_first() -> None:
    types = read(ROOT / "cluster.yaml")[1]["available_node_types"]
    types["gpu_spot"] |= {"max_workers": 1, "resources": {"CPU": 4, "GPU": 1}}
    types["gpu_on_demand"] |= {"max_workers": 5, "resources": {"CPU": 16, "GPU": 4}}
    grown = shipped(available_node_types=types, max_workers=3)
    assert grown.room(sample_study())["resources.concurrent"] == 1 + 2 * 4


def test_machines_on_which_no_trial_fits_take_no_place_of_others() -> None:
    types = read(ROOT / "cluster.yaml")[1]["available_node_types"]
    cpus = {"resources": {"CPU": 8}, "max_workers": 8, "priority": 1000, "node_config": {}}
    grown = shipped(available_node_types={**types, "cpus": cpus}, max_workers=8)
    assert grown.room(sample_study())["resources.concurrent"] == 8


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"gpus_per_worker": 2}, "a worker wants 1 CPU, 2 GPU, but no machine of it has that"),
        ({"custom": {"tpu": 1}}, "1 tpu, but no machine of it has that (gpu_spot: 4 CPU, 1 GPU;"),
    ],
)
def test_a_trial_for_which_no_machine_has_room_is_one_line(asked: Any, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        shipped().room(sample_study(resources=asked))


def test_a_trial_that_wants_a_gpu_where_none_is_is_told_what_there_is() -> None:
    types = read(ROOT / "cluster.yaml")[1]["available_node_types"]
    for name in ("gpu_spot", "gpu_on_demand"):
        types[name]["resources"] = {"CPU": 4}
    cpus = shipped(available_node_types=types)
    with pytest.raises(UserError, match=r"1 GPU, but no machine .* \(gpu_spot: 4 CPU;"):
        cpus.room(sample_study(resources={"gpus_per_worker": 1}))
    assert cpus.room(sample_study())["resources.gpus_per_worker"] == 0


def test_own_machines_do_not_grow_and_share_a_disk() -> None:
    file = shipped("clusters/local.yaml")
    assert file.room(sample_study()) == {}
    assert file.machines() == 2
    places = file.places(build_parser().parse_args([]), sample_study())
    assert places == ["--output", "/mnt/shared/results", "--ledger", "sqlite:///~/study.db"]


def test_machines_that_share_nothing_want_a_bucket_or_a_folder() -> None:
    def places(*asked: str) -> list[str]:
        return shipped().places(build_parser().parse_args(asked), sample_study())

    with pytest.raises(UserError, match="share no disk; give --storage"):
        places()
    assert places("--storage", "s3://bucket/muse") == ["--output", "~/muse-search/results"]
    ledger = ["--ledger", "sqlite:///~/study.db"]  # not on a disk of the network
    assert places("--shared", "/mnt/all") == ["--output", "/mnt/all", *ledger]
    assert places("--shared", "/mnt/all", "--storage", "s3://b/m")[2:] == ledger


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "cluster.yaml",
            r"cluster.yaml, line \d+: .* is still marked; .* \(make cluster-check FILES=cl",
        ),
        ("clusters/kuberay.yaml", "is for Kubernetes; kubectl apply -f clusters/kuberay.yaml"),
        ("nowhere.yaml", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        read_launcher_file(Path(name))
    assert "\n" not in str(told.value)
