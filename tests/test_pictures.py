"""What a model sees of a picture is what a viewer shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from muse.errors import UserError
from muse.pictures import collect, refusing_bombs, resize, write_pictures


def seen(image: Image.Image, file: Path, **how: Any) -> np.ndarray:
    """The picture as (3, 8, 8)."""
    image.save(file, **how)
    return resize(file, 8, 4)[0]


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "GIF"])
def test_what_is_transparent_is_white(tmp_path: Path, kind: str) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 4, 8))
    file = tmp_path / ("a.gif" if kind == "GIF" else "a.png")

    large = seen(clear if kind == "GIF" else clear.convert(kind), file)

    assert (large[:, :, 5:] > 250).all()
    assert (large[:, :, :3] < 5).all()


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8)

    large = seen(Image.fromarray(ramp), tmp_path / "a.png")

    assert abs(large.mean() - 127) < 2
    assert large[0, 0, 0] == 0


def test_the_transparent_grey_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    greys = np.full((8, 8), 3, dtype=np.uint16)  # black too, but opaque
    greys[:, 4:] = 2

    large = seen(Image.fromarray(greys), tmp_path / "a.png", transparency=2)

    assert (large[:, :, 5:] > 250).all()
    assert (large[:, :, :3] < 5).all()


def test_greys_of_an_unknown_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no eight or sixteen bits"):
        seen(Image.new("F", (8, 8), 0.5), tmp_path / "a.tiff")


def test_a_picture_stands_upright(tmp_path: Path) -> None:
    lying = Image.new("RGB", (8, 8), "white")
    lying.paste((0, 0, 0), (0, 0, 8, 4))  # its top is dark
    notes = Image.Exif()
    notes[0x0112] = 6  # to be turned clockwise: then its right is

    large = seen(lying, tmp_path / "a.png", exif=notes)

    assert (large[:, :, 5:] < 5).all()
    assert (large[:, :, :3] > 250).all()


def test_of_many_broken_pictures_some_are_named_and_all_are_counted(tmp_path: Path) -> None:
    pictures = [tmp_path / f"{number}.jpg" for number in range(8)]
    for number, file in enumerate(pictures):
        if number in (3, 4):
            Image.new("RGB", (9, 9), (number, 0, 0)).save(file)
        else:
            file.write_bytes(b"none %d" % number)
    with pytest.raises(UserError) as caught:
        write_pictures(collect(pictures), tmp_path, 8, 4)
    told = str(caught.value)
    assert [f"{number}.jpg: is a broken picture" in told for number in range(8)] == (
        [True] * 3 + [False] * 2 + [True] * 2 + [False]
    )
    assert told.endswith("And 1 more are broken.")


def test_all_files_of_one_broken_content_are_named(tmp_path: Path) -> None:
    pictures = [tmp_path / f"{number}.jpg" for number in (0, 1, 2)]
    for file in pictures:
        file.write_bytes(b"404")
    with pytest.raises(UserError) as caught:
        write_pictures(collect([*pictures, pictures[0]]), tmp_path, 8, 4)
    told = str(caught.value)
    assert f"{pictures[0]}: is a broken picture" in told
    assert told.count("is the same as") == 2
    assert f"{pictures[2]}: is the same as {pictures[0]}" in told


def test_a_damaged_note_is_told_to_nobody(tmp_path: Path) -> None:
    """Pillow warns of it, without the picture's name; here a warning would be an error."""
    file = tmp_path / "a.jpg"
    odd = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0"
    Image.new("RGB", (8, 8), "white").save(file, exif=odd)
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        resize(file, 8, 4)
    with refusing_bombs():
        resize(file, 8, 4)


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    large = seen(Image.new("RGB", (8, 8), "white"), tmp_path / "a.jpg", exif=b"Exif\0\0II*\0no")

    assert (large > 250).all()


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_a_damaged_picture_is_not_taken_for_a_partly_black_one(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"a.{kind}"
    noise = np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    content = bytearray(file.read_bytes())
    fifth = len(content) // 5
    content[fifth : fifth + 200] = bytes(200)
    file.write_bytes(content)

    with pytest.raises(UserError, match="is a broken picture"):
        resize(file, 8, 4)
