"""Does a whole study find what was planted, and nothing else?

    python benchmarks/planted_truth.py
    python benchmarks/planted_truth.py --studies 20

Many simulated studies through Optuna and ASHA: one setting decides the final quality, one
only how fast it is reached, one does nothing (tests/planted_truth.py). Prints how often the curves
say so, and how many of their 95 % intervals hold the truth.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from search.quiet import be_quiet  # noqa: E402


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Planted truth, found again.")
    parser.add_argument("--studies", type=int, default=200, metavar="N")
    studies = parser.parse_args().studies
    be_quiet()
    import many_planted  # noqa: PLC0415
    import planted_truth  # noqa: PLC0415

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = [findings for findings, _ in many_planted.run_many(studies, Path(folder))]
    print(f"{studies} studies in {time.perf_counter() - began:.0f} s")
    for name in (planted_truth.QUALITY, planted_truth.SPEED, planted_truth.DEAD):
        curves = [curve for f in found for curve in f.curves if curve.name == name]
        verdicts = [curve.verdict for curve in curves]
        counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
        first = sum(f.curves[0].name == name for f in found)
        print(f"{name}: ranked first in {first}, verdicts {counts}")
    means, differences = many_planted.holding(found)
    print(f"95 % intervals that hold the truth: means {means:.1%}, differences {differences:.1%}")


if __name__ == "__main__":
    main()
