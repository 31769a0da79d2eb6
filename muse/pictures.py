"""Pictures to pixels: decoded once, resized twice, equal ones stored once.

Shapes: P pictures, H x H their pixels, h x h those of the small copy. Picture 0 is the blank one.
"""

import hashlib
import os
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from muse.corpora.tweet import Picture
from muse.errors import UserError

BLANK = 127
"""Mid-grey, shown where a tweet has no picture."""

THREADS = min(8, os.cpu_count() or 1)
"""Each holds a whole picture, up to half a gigabyte of it."""

AHEAD = 256
"""Pictures decoded at most before the first of them is written."""

TOLD = 5
"""Broken pictures that are named; of more, the number."""

PIXELS = "pictures.npy"
SMALL_PIXELS = "small_pictures.npy"

Pixels = NDArray[np.uint8]


def digest(picture: Picture) -> str:
    """SHA-256 of a picture's bytes; empty for none.

    Raises:
        UserError: the file cannot be read.
    """
    if picture is None:
        return ""
    if isinstance(picture, np.ndarray):
        return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()
    try:
        return hashlib.sha256(picture.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{picture}: cannot be read ({error.strerror}).") from error


@dataclass(frozen=True)
class Gallery:
    """The different pictures of a corpus, and which of them each tweet has."""

    digests: list[str]
    """Of every tweet's picture, in the order given."""

    distinct: dict[str, Path | Pixels]
    """By digest, in the order of their first use."""

    files: dict[str, list[Path]]
    """All that have a digest."""

    def index(self) -> NDArray[np.int32]:
        """Place of every tweet's picture in the stored array; 0 is the blank."""
        places = {"": 0, **{name: place for place, name in enumerate(self.distinct, start=1)}}
        return np.array([places[name] for name in self.digests], dtype=np.int32)


def collect(pictures: Sequence[Picture]) -> Gallery:
    """Find out which pictures are equal, byte for byte."""
    with ThreadPoolExecutor(THREADS) as pool:
        digests = list(pool.map(digest, pictures))
    distinct: dict[str, Path | Pixels] = {}
    files: dict[str, dict[Path, None]] = {}
    for name, picture in zip(digests, pictures, strict=True):
        if picture is not None:
            distinct.setdefault(name, picture)
        if isinstance(picture, Path):
            files.setdefault(name, {})[picture] = None
    return Gallery(digests, distinct, {name: list(paths) for name, paths in files.items()})


def decode(picture: Path | Pixels) -> Image.Image:
    """A whole picture in RGB, as a viewer shows it.

    Raises:
        UserError: the file is truncated, broken, no picture, or larger than Pillow deems safe.
    """
    if isinstance(picture, np.ndarray):
        return Image.fromarray(picture)
    try:
        with Image.open(picture) as image:
            return in_rgb(upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{picture}: too many pixels; scale it below {limit()}.") from error
    except Exception as error:  # the decoders of broken files raise nearly anything
        raise UserError(
            f"{picture}: is a broken picture ({error}); replace or remove it."
        ) from error


def upright(image: Image.Image) -> Image.Image:
    """The picture turned as the camera noted; a note that is damaged is none.

    Raises:
        OSError: what is damaged is the picture.
    """
    image.load()  # not within the try: a second load would pass off what was decoded as the whole
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # its readers raise nearly anything, too
        return image


def in_rgb(image: Image.Image) -> Image.Image:
    """Eight bits of each colour, on white where the picture is transparent.

    Raises:
        ValueError: what is black and what white in it is not known.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray(eight_bits(image)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("its greys are no eight or sixteen bits")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours)
    return image.convert("RGB")


def eight_bits(image: Image.Image) -> Pixels:
    """A grey picture of sixteen bits, white where a PNG names a grey that is transparent."""
    greys = np.asarray(image)
    scaled = (greys >> 8).astype(np.uint8)
    scaled[greys == image.info.get("transparency", -1)] = 255
    return scaled


@contextmanager
def refusing_bombs() -> Iterator[None]:
    """Refuse, before it is decoded, what Pillow only warns of, and pass over its other warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def limit() -> str:
    """Pillow's own bound on the size of a picture, in words."""
    return f"{(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels"


def resize(picture: Path | Pixels, size: int, small_size: int) -> tuple[Pixels, Pixels]:
    """The picture (3, H, H) and its small copy (3, h, h); the whole picture, no crop."""
    image = decode(picture)
    large = image.resize((size, size), Image.Resampling.BICUBIC)
    small = image.resize((small_size, small_size), Image.Resampling.BOX)
    return np.asarray(large).transpose(2, 0, 1), np.asarray(small).transpose(2, 0, 1)


def resized(
    gallery: Gallery, size: int, small_size: int
) -> Generator[tuple[Pixels, Pixels] | UserError, None, None]:
    """Every distinct picture in order, or what is wrong with it, decoded by several threads."""

    def resize_or_tell(picture: Path | Pixels) -> tuple[Pixels, Pixels] | UserError:
        try:
            return resize(picture, size, small_size)
        except UserError as error:
            return error

    with refusing_bombs(), ThreadPoolExecutor(THREADS) as pool:
        pictures = list(gallery.distinct.values())
        for start in range(0, len(pictures), AHEAD):
            some = pictures[start : start + AHEAD]
            yield from pool.map(resize_or_tell, some)


def blank(size: int, small_size: int) -> tuple[Pixels, Pixels]:
    """The picture of a tweet without one: mid-grey, (3, H, H), and its small copy (3, h, h)."""
    large, small = (np.full((3, side, side), BLANK, dtype=np.uint8) for side in (size, small_size))
    return large, small


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: str) -> None:
    """Begin an .npy file whose values are then written piece by piece."""
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_pictures(gallery: Gallery, folder: Path, size: int, small_size: int) -> None:
    """Write the blank and every distinct picture, large and small.

    Plain writes, not a writable map: on a full disk a map ends the process without an error.

    Raises:
        UserError: pictures are broken; it names the first of them, after all were read.
        OSError: no space left.
    """
    count = 1 + len(gallery.distinct)
    with (folder / PIXELS).open("wb") as large, (folder / SMALL_PIXELS).open("wb") as small:
        for file, pixels in zip((large, small), blank(size, small_size), strict=True):
            write_header(file, (count, *pixels.shape), "uint8")
            file.write(pixels.tobytes())
        broken: list[str] = []
        # Closed here: a generator left half-way would restore its warning filters much later.
        with closing(resized(gallery, size, small_size)) as pairs:
            for name, pair in zip(gallery.distinct, pairs, strict=True):
                if isinstance(pair, UserError):
                    first, *same = gallery.files[name]
                    broken += [str(pair), *(f"{file}: is the same as {first}." for file in same)]
                    continue
                for file, pixels in zip((large, small), pair, strict=True):
                    file.write(pixels.tobytes())
    refuse(broken)


def refuse(broken: Sequence[str]) -> None:
    """Refuse a corpus with broken pictures, of which the first are named and all are counted."""
    if broken:
        others = len(broken) - TOLD
        more = f" And {others} more are broken." if others > 0 else ""
        raise UserError(" ".join(broken[:TOLD]) + more)
