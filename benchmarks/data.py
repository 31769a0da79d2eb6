"""How many samples a second the data can give: from the disk's cache, and from memory.

    python benchmarks/data.py
    python benchmarks/data.py --device cuda

Random pixels of the authors' sizes in a memory-mapped file, as a prepared corpus has them. Needs
what train_step.py needs, and Pillow. `first` reads a file that the system may have in memory only
as far as it was just written; for a cold disk drop the system's caches before.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from machine import describe

from muse.tensors import Split

SIDE, SMALL, LENGTH, WORDS = 224, 32, 64, 24


def made_split(folder: Path, tweets: int) -> Split:
    """A split of random tweets, its pictures memory-mapped."""
    draw = np.random.default_rng(0)
    arrays = {}
    for name, side in (("pixels", SIDE), ("small_pixels", SMALL)):
        file = folder / f"{name}.npy"
        np.save(file, draw.integers(256, size=(tweets, 3, side, side), dtype=np.uint8))
        arrays[name] = np.load(file, mmap_mode="r")
    return Split(
        ids=[],
        targets=[],
        token_ids=draw.integers(30522, size=(tweets, LENGTH), dtype=np.int32),
        lengths=draw.integers(20, LENGTH, tweets, dtype=np.int32),
        word_starts=draw.integers(1, 20, (tweets, WORDS), dtype=np.int32),
        words_kept=draw.integers(8, WORDS, tweets, dtype=np.int32),
        target=draw.integers(9, size=(tweets, WORDS), dtype=np.int32),
        picture=draw.permutation(tweets).astype(np.int32),
        **arrays,
    )


def batches(tweets: int, size: int) -> Iterator[np.ndarray]:
    """Indices in random order."""
    order = np.random.default_rng(1).permutation(tweets)
    return iter(np.split(order, range(size, tweets, size)))


def rate(split: Split, size: int, device: torch.device) -> float:
    """Samples a second over one pass."""
    began = time.perf_counter()
    for indices in batches(len(split), size):
        split.batch(indices).to(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return len(split) / (time.perf_counter() - began)


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tweets", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    print(f"batch {asked.batch}, {asked.tweets} pictures of {SIDE}, {describe(device)}")
    with TemporaryDirectory() as folder:
        split = made_split(Path(folder), asked.tweets)
        first = rate(split, asked.batch, device)
        again = max(rate(split, asked.batch, device) for _ in range(3))
        print(
            f"from the disk's cache  first {first:>9,.0f}, best of three {again:>9,.0f} samples/s"
        )
        held = split.held(device)
        memory = max(rate(held, asked.batch, device) for _ in range(3))
        print(f"from {'GPU ' if device.type == 'cuda' else ''}memory  {memory:,.0f} samples/s")


if __name__ == "__main__":
    main()
