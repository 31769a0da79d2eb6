"""Where bf16 is used."""

import pytest
import torch
from small_muse import small_config

from muse import device as under_test
from muse.device import CPU, Worker, autocast, wants_bf16

GPU = torch.device("cuda")


def test_a_lone_worker_is_the_first_of_one_on_the_cpu() -> None:
    assert Worker() == Worker(device=torch.device("cpu"), rank=0, world=1)


@pytest.mark.parametrize(("precision", "expected"), [("bf16", True), ("float32", False)])
@pytest.mark.parametrize("device", [CPU, GPU])
def test_a_precision_asked_for_is_used_everywhere(
    precision: str, expected: bool, device: torch.device
) -> None:
    config = small_config(train={"precision": precision})

    assert wants_bf16(config, device, width=16) is expected


@pytest.mark.parametrize(
    ("has_bf16", "width", "expected"),
    [(True, 768, True), (True, 64, False), (False, 768, False)],
)
def test_a_cpu_takes_bf16_where_it_has_it_and_the_model_is_wide(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, width: int, expected: bool
) -> None:
    monkeypatch.setattr(under_test, "cpu_has_bf16", lambda: has_bf16)

    assert wants_bf16(small_config(), CPU, width) is expected


@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_gpu_takes_bf16_wherever_it_has_it(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)

    assert wants_bf16(small_config(), GPU, width=16) is has_bf16


@pytest.mark.parametrize(("bf16", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_matrix_work_has_the_precision_asked_for(bf16: bool, expected: torch.dtype) -> None:
    with autocast(CPU, bf16=bf16):
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == expected


def test_asking_what_the_cpu_has_gives_an_answer() -> None:
    assert under_test.cpu_has_bf16() in {True, False}
