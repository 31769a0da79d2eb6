"""What the exchange costs: a layer with it, beside the same layer without, and a loop over tokens.

    python benchmarks/exchange.py --batch 40
    python benchmarks/exchange.py --batch 40 --device cuda

Forward and backward of one layer of the authors' sizes; the goal is at most 1.05 times the layer
without. On a GPU both are CUDA graphs, as they are in training; the loop, which waits for the
device, cannot be one. Needs what train_step.py needs.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch
from machine import Replay, Stopwatch, describe, operations, stopwatch
from straightforward import PlainLayer

from muse.config import CrossConfig, ParityConfig
from muse.cross_transformer import CrossLayer
from muse.device import autocast
from muse.exchange import Mask, Stream

WIDTH, TOKENS = 768, 65


def streams(batch: int, device: torch.device) -> tuple[Stream, Stream]:
    """Text of which a third is padding, and a picture."""
    is_token = torch.ones(2, batch, TOKENS, dtype=torch.bool, device=device)
    is_token[0, :, 43:] = False
    text, image = torch.randn(2, batch, TOKENS, WIDTH, device=device)
    return Stream(text, Mask(is_token[0])), Stream(image, Mask(is_token[1]))


def anew(stream: Stream) -> Stream:
    """A stream whose mask knows nothing yet: what a model finds once for all layers counts here."""
    return replace(stream, mask=Mask(stream.mask.is_token))


def works(batch: int, device: torch.device, bf16: bool) -> dict[str, Callable[[], object]]:
    """Forward and backward of the three layers."""
    torch.manual_seed(0)
    make = {"without": (CrossLayer, False), "with": (CrossLayer, True), "loop": (PlainLayer, True)}
    text, image = streams(batch, device)

    def work(layer: CrossLayer) -> Callable[[], None]:
        def forward_and_backward() -> None:
            with autocast(device, bf16=bf16):
                mixed = layer(anew(text), anew(image))
            torch.autograd.backward(sum(stream.tokens.float().sum() for stream in mixed))

        return forward_and_backward

    return {
        name: work(kind(CrossConfig(), WIDTH, ParityConfig(), exchanges).to(device))
        for name, (kind, exchanges) in make.items()
    }


def main() -> None:
    """Print the times and both ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="of one thread, not the wall's")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    watch: Stopwatch = stopwatch(device, threads=asked.threads, cpu_time=asked.cpu_time)
    made = works(asked.batch, device, bf16=device.type == "cuda")
    counts = {name: operations(work) for name, work in made.items()}
    if device.type == "cuda":
        made |= {name: Replay(made[name]) for name in ("without", "with")}
    times = watch.alternately(made, asked.repeats)
    print(f"one layer, batch {asked.batch}, {describe(device)}")
    for name, time in times.items():
        ratio, count = time / times["without"], counts[name]
        print(f"{name:<8}{time * 1e3:>9.2f} ms  {ratio:.3f}  {count:>8,} operations")


if __name__ == "__main__":
    main()
