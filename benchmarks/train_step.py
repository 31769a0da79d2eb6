"""How fast a training step is, and where its time goes.

    python benchmarks/train_step.py --preset full --batch 8
    python benchmarks/train_step.py --preset full --batch 40 --device cuda --no-baseline

Random weights and made-up tweets, so it needs no corpus: torch, torchvision, transformers,
pytorch-crf, pydantic and this checkout (PYTHONPATH=. where it is not installed).
"""

import argparse
import resource
from collections.abc import Callable

import torch
from machine import Replay, Stopwatch, describe, operations, stopwatch
from made import made_batch, made_config, made_model
from straightforward import padded, plain, plain_optimizer, plain_step
from torch.utils.flop_counter import FlopCounterMode

from muse.batch import Batch
from muse.config import MuseConfig
from muse.device import autocast, prefer_channels_last, wants_bf16
from muse.model import Muse
from muse.optimizer import build_optimizer, learn
from muse.step import RecordedStep, Step

Work = Callable[[], object]


class Fast:
    """The model as it is trained, on one batch."""

    def __init__(self, model: Muse, config: MuseConfig, batch: Batch, *, recorded: bool) -> None:
        self.model, self.config, self.batch = model, config, batch
        self.optimizer = build_optimizer(model, config.train)
        self.device = batch.image.device
        self.bf16 = wants_bf16(config, self.device, model.text_encoder.width)
        self.recorded = recorded and self.device.type == "cuda"
        self.usual = Step(model, self.optimizer, config.train.clip, bf16=self.bf16)
        self.taken = RecordedStep(self.usual, model, len(batch)) if self.recorded else self.usual

    def step(self) -> None:
        """One whole step."""
        self.taken(self.batch)

    def backward(self) -> None:
        """All gradients."""
        self.usual.backward(self.batch)

    def flops(self) -> int:
        """FLOP of matrix products and convolutions, forward and backward."""
        with FlopCounterMode(display=False) as counter:
            self.backward()
        self.model.zero_grad(set_to_none=True)
        return int(counter.get_total_flops())

    def parts(self) -> dict[str, Work]:
        """Forward and backward of each part alone, started one operation at a time."""
        model, batch = self.model, self.batch
        with torch.no_grad(), autocast(self.device, bf16=self.bf16):
            text, pooled = model.text_encoder(batch.token_ids, batch.is_token)
            image = model.image_encoder(batch.image)
            fused = model._fuse(text, image, batch)
        for tokens in (text, pooled, image, fused):
            tokens.requires_grad_()
        parts: dict[str, Callable[[], torch.Tensor]] = {
            "text encoder": lambda: model.text_encoder(batch.token_ids, batch.is_token)[0],
            "image encoder": lambda: model.image_encoder(batch.image),
            "captioner": lambda: model._caption_loss(image, batch),
            "PixelCNN++": lambda: model._image_loss(text, pooled, batch),
            "CrossTransformer": lambda: model._fuse(text, image, batch),
            "head": lambda: model._task_loss(model.head.scores(fused, batch), batch),
        }
        works = {name: self.forward_and_backward(part) for name, part in parts.items()}
        return {**works, "optimiser": self.learning()}

    def learning(self) -> Work:
        """The weights moved along the same gradients each time."""
        self.backward()
        gradients = {parameter: parameter.grad for parameter in self.model.parameters()}

        def work() -> None:
            for parameter, gradient in gradients.items():
                parameter.grad = gradient
            learn(self.model, self.optimizer, self.config.train.clip)

        return work

    def forward_and_backward(self, part: Callable[[], torch.Tensor]) -> Work:
        """One part, forward and backward."""

        def work() -> None:
            with autocast(self.device, bf16=self.bf16):
                out = part()
            if out.requires_grad:
                torch.autograd.backward(out.float().sum())

        return work


def memory(device: torch.device) -> str:
    """The most memory held so far."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB of GPU memory"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of process memory"


def print_step(fast: Fast, watch: Stopwatch, time: float, size: int) -> None:
    """What a step costs and how near that is to the machine's limit."""
    dtype = torch.bfloat16 if fast.bf16 else torch.float32
    flops, rate = fast.flops(), watch.matrix_rate(dtype)
    print(f"step {time * 1e3:.1f} ms, {size / time:.1f} samples/s")
    print(f"{flops / 1e9 / size:.1f} GFLOP a sample, {flops / time / 1e9:.1f} GFLOP/s")
    print(f"{100 * flops / time / rate:.0f} % of {rate / 1e9:.1f} GFLOP/s, the rate of {dtype}")


def print_parts(
    fast: Fast, counts: dict[str, int], watch: Stopwatch, time: float, repeats: int
) -> None:
    """The table of parts: milliseconds, share of a step, operations."""
    works = fast.parts()
    if fast.recorded:
        works = {name: Replay(work) for name, work in works.items()}
    for name, row in watch.alternately(works, repeats).items():
        share, count = 100 * row / time, counts[name]
        print(f"  {name:<17}{row * 1e3:>10.1f} ms {share:>6.1f} % {count:>6,} operations")


def main() -> None:
    """Print the step, its parts and, unless told not to, the ratio to the straightforward one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", choices=("tiny", "small", "full"), default="tiny")
    parser.add_argument("--batch", type=int, help="default: the preset's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--task", choices=("mner", "msa"), default="mner")
    parser.add_argument("--precision", choices=("auto", "float32", "bf16"), default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--no-recording", action="store_true", help="start each kernel anew")
    parser.add_argument("--no-parts", action="store_true")
    parser.add_argument(
        "--channels-last", action="store_true", help="on every device, in every part"
    )
    parser.add_argument("--cpu-time", action="store_true", help="of one thread, not the wall's")
    measure(parser.parse_args())


def measure(asked: argparse.Namespace) -> None:
    """Measure what was asked."""
    device = torch.device(asked.device)
    watch = stopwatch(device, threads=asked.threads, cpu_time=asked.cpu_time)
    config = made_config(asked.preset, asked.task, train={"precision": asked.precision})
    size = asked.batch or config.train.batch_size
    model = made_model(asked.preset, config).to(device)
    if asked.channels_last:
        model.to(memory_format=torch.channels_last)
    else:
        prefer_channels_last(model.image_encoder, device)
    batch = made_batch(config, model.text_encoder.model.config.vocab_size, size).to(device)
    print(f"{asked.preset}, batch {size}, {describe(device)}")
    works: dict[str, Work] = {}
    if not asked.no_baseline:
        slow, longest = plain(model), padded(batch, config.data.text_tokens)
        optimizer = plain_optimizer(slow, config.train)
        works["plain"] = lambda: plain_step(slow, optimizer, longest, config.train.clip)
    fast = Fast(model, config, batch, recorded=not asked.no_recording)
    # Before any chain is compiled, and with it no operation of its own any more.
    counts = {} if asked.no_parts else {n: operations(work) for n, work in fast.parts().items()}
    if fast.recorded:
        for _ in range(2):  # the second one is recorded, and no later one takes as long
            fast.step()
    times = watch.alternately({"fast": fast.step, **works}, asked.repeats)
    print_step(fast, watch, times["fast"], size)
    print(f"at most {memory(device)}, all that was measured together")
    if works:
        print(f"straightforward {times['plain'] * 1e3:.1f} ms", end=", ")
        print(f"ratio {times['fast'] / times['plain']:.2f}")
    if not asked.no_parts:
        print_parts(fast, counts, watch, times["fast"], asked.repeats)


if __name__ == "__main__":
    main()
