"""Fonts for the letters of all tweets: the usual one has no Chinese, no Hindi and few emoji."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from matplotlib import rc_context
from matplotlib.font_manager import findSystemFonts, fontManager

USUAL = "DejaVu Sans"

FAMILIES = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Noto Sans CJK JP", "Noto Sans JP"),
    *("Noto Sans KR", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("Noto Sans Devanagari", "Lohit Devanagari", "Noto Sans Bengali", "Noto Sans Tamil"),
    *("Noto Sans Telugu", "Noto Sans Thai", "Noto Emoji", "Symbola", "Unifont"),
)
"""Those that are installed are asked in this order for what the usual font lacks."""

MISSING = re.compile(r"Glyph (\d+) .*missing from")
"""What Matplotlib warns of."""


@contextmanager
def all_letters() -> Iterator[set[str]]:
    """Draw and save with all fonts that are here; yields the letters that none of them has.

    Those are drawn as boxes, without a warning for each.
    """
    missing: set[str] = set()
    with warnings.catch_warnings(record=True) as told, rc_context({"font.family": families()}):
        warnings.filterwarnings("always", message=MISSING.pattern)
        yield missing
    for warning in told:
        if found := MISSING.match(str(warning.message)):
            missing.add(chr(int(found[1])))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def families() -> list[str]:
    """The usual font, and of the others those that are installed, since yesterday too."""
    known = {font.fname for font in fontManager.ttflist}
    for file in set(findSystemFonts()) - known:
        with suppress(Exception):  # whatever a reader of fonts raises on what it cannot draw
            fontManager.addfont(file)
    installed = set(fontManager.get_font_names())
    return [USUAL, *(name for name in FAMILIES if name in installed)]


def told_missing(missing: set[str]) -> str:
    """What to do about letters without a font."""
    some = " ".join(sorted(missing)[:5])
    return (
        f"no font here has {len(missing)} of the letters ({some} ...), which are boxes in the "
        "pictures; install one, such as Noto Sans CJK for Chinese or Symbola for emoji"
    )
