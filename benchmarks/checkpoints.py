"""How long an epoch waits for its checkpoint: written in line, or copied and written beside it.

    python benchmarks/checkpoints.py --preset full --folder /tmp/checkpoints

What it needs is what train_step.py needs.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from machine import describe, stopwatch
from made import made_batch, made_config, made_model

from muse.checkpoint import export
from muse.copies import Copies
from muse.last import save_last
from muse.model import Muse
from muse.optimizer import build_optimizer
from muse.step import Step
from muse.tokenizer import build_tokenizer


def trained(preset: Any, device: torch.device) -> tuple[Muse, dict[str, Any]]:
    """A model after one step, and the state to go on from."""
    config = made_config(preset)
    model = made_model(preset, config).to(device)
    optimizer = build_optimizer(model, config.train)
    step = Step(model, optimizer, config.train.clip, bf16=False)
    step(made_batch(config, model.text_encoder.model.config.vocab_size, 2).to(device))
    return model, {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def main() -> None:
    """Print both times and what was written."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", choices=("tiny", "small", "full"), default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on which disk; default: the temporary one's")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    watch = stopwatch(device, threads=None, cpu_time=False)
    model, state = trained(asked.preset, device)
    tokenizer = build_tokenizer(["we saw the loud sunny day again"], 64)
    if asked.folder is not None:
        asked.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=asked.folder))  # the one that is removed at the end

    def in_line() -> None:
        export(model, tokenizer, folder / "best")
        save_last(folder, state)

    copies = Copies()
    times = watch.alternately(
        {"in line": in_line, "beside": lambda: copies.over_the_last(state)}, asked.repeats
    )
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    print(f"{asked.preset}, {describe(device)}, {size / 1e9:.3f} GB a checkpoint with best model")
    print(f"written in line  {times['in line']:.3f} s")
    print(
        f"written beside   {times['beside']:.3f} s, ratio {times['beside'] / times['in line']:.2f}"
    )


if __name__ == "__main__":
    main()
