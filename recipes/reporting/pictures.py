"""The pictures of a run: grids of samples and contact sheets, written as PNG.

Images come as tensors `c h w` in [0, 1] with one or three channels, of any size, from any device;
values outside are clipped. One channel is drawn as grey, or through a perceptual
colormap of matplotlib's (`inferno` suits infrared). A pixel that is not finite is drawn in magenta,
so that a broken image looks broken. Drawing is pure; `save` writes whole files only.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from einops import rearrange
from matplotlib.colors import Colormap
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from crossband.recipes.basics.files import replacing
from crossband.recipes.kinds.source import Box
from crossband.registry import CrossbandError, suggest

PAPER, INK, FAINT, BROKEN = (255, 255, 255), (32, 33, 36), (110, 114, 120), (255, 0, 255)
GAP, LINE, MARGIN = 8, 22, 16  # pixels: between images, for a line of text, around the picture
CROPS, LEAST_CROP = 2, 16  # boxes of an image that are drawn larger, and the least side of a crop
ERROR_RANGE, ERROR_COLORS = 0.5, "magma"  # one scale for every grid, so that two epochs can be compared


def save(picture: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write a picture as PNG, whole or not at all, in place of an existing file."""
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")
    return Path(path)


def draw(image: Tensor, colormap: str | None = None) -> Image.Image:
    """One image `c h w` in [0, 1], c = 1 or 3, as an RGB picture; `colormap` is for one channel only.

    Raises CrossbandError on another shape, on whole numbers and on an unknown colormap.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.is_floating_point():
        raise CrossbandError(
            f"a picture is drawn from floating-point `c h w`, c = 1 or 3, got {tuple(image.shape)} {image.dtype}"
        )
    values = rearrange(image.detach().float().cpu(), "c h w -> h w c").numpy()
    broken = ~np.isfinite(values).all(-1)
    values = np.nan_to_num(values, posinf=0, neginf=0).clip(0, 1)
    if values.shape[-1] == 1:
        values = _colors(colormap)(values[..., 0])[..., :3] if colormap else values.repeat(3, -1)
    pixels = (values * 255).round().astype(np.uint8)
    pixels[broken] = BROKEN
    return Image.fromarray(pixels)


def _colors(name: str) -> Colormap:
    if name not in matplotlib.colormaps:
        raise CrossbandError(f"no colormap named `{name}`", hint=suggest(name, list(matplotlib.colormaps)))
    return matplotlib.colormaps[name]


def sample_grid(
    columns: Mapping[str, Tensor | Sequence[Tensor]],
    names: Sequence[str],
    *,
    errors: Sequence[tuple[str, str]] = (("output", "target"),),
    colormap: str | None = None,
    width: int = 256,
) -> Image.Image:
    """A row for each image, a column for each of `columns`, titles above and the image's name below.

    A column is a batch `b c h w` or a list of `c h w`. Each pair in `errors` whose two columns are there adds
    a column: their mean absolute difference over the channels, on a fixed scale from 0 to 0.5.
    Images wider than `width` are reduced to it; small ones are enlarged by a whole factor, so that
    their pixels can be seen. Raises CrossbandError if a column has not one image for each name.
    """
    for title, images in columns.items():
        if len(images) != len(names):
            raise CrossbandError(f"the column `{title}` has {len(images)} images for {len(names)} names")
    rows = [[_scaled(draw(images[i], colormap), width) for images in columns.values()] for i in range(len(names))]
    titles = list(columns)
    for pair in (pair for pair in errors if set(pair) <= set(columns)):
        titles.append(f"|{pair[0]} − {pair[1]}|")
        for row, a, b in zip(rows, *(columns[title] for title in pair), strict=True):
            distance = (a.float() - b.float()).abs().mean(0, keepdim=True) / ERROR_RANGE
            row.append(_scaled(draw(distance, ERROR_COLORS), width))
    scale = ERROR_COLORS if len(titles) > len(columns) else None
    return _lay_out(rows, [[name] for name in names], titles, scale)


def magnified(
    columns: Mapping[str, Sequence[Tensor]], names: Sequence[str], boxes: Sequence[Sequence[Box]], *, most: int = CROPS
) -> tuple[dict[str, list[Tensor]], list[str]]:
    """Columns and names for `sample_grid`, where the largest boxes of each image follow it as rows of their own.

    A crop is a square half as long again as its box, and at least 16 pixels; it does not leave the image.
    """
    found: dict[str, list[Tensor]] = {title: [] for title in columns}
    captions: list[str] = []
    for row, (name, own) in enumerate(zip(names, boxes, strict=True)):
        captions.append(name)
        largest = sorted(own, key=lambda box: -box.width * box.height)[:most]
        captions += [f"{box.label}, {box.width:.0f}x{box.height:.0f} at {box.x:.0f}, {box.y:.0f}" for box in largest]
        for title, images in columns.items():
            found[title] += [images[row], *(_crop(images[row], box) for box in largest)]
    return found, captions


def _crop(image: Tensor, box: Box) -> Tensor:
    """The part of an image `c h w` around a box."""
    side = max(LEAST_CROP, round(1.5 * max(box.width, box.height)))
    for axis, start, length in ((1, box.y, box.height), (2, box.x, box.width)):
        size = image.shape[axis]
        wanted = min(size, side)
        first = min(max(round(start + length / 2 - wanted / 2), 0), size - wanted)
        image = image.narrow(axis, first, wanted)
    return image


def contact_sheet(
    images: Sequence[Tensor],
    captions: Sequence[str],
    *,
    across: int | None = None,
    colormap: str | None = None,
    width: int = 160,
) -> Image.Image:
    """Many images `c h w` side by side with a caption under each, `across` in a row (by default about a square)."""
    if not images or len(images) != len(captions):
        raise CrossbandError(f"a contact sheet needs images with a caption each, got {len(images)} and {len(captions)}")
    across = across or max(2, round((1.5 * len(images)) ** 0.5))
    cells = [_scaled(draw(image, colormap), width) for image in images]
    starts = range(0, len(cells), across)
    return _lay_out([cells[i : i + across] for i in starts], [list(captions[i : i + across]) for i in starts])


def _scaled(picture: Image.Image, width: int) -> Image.Image:
    """Reduce to `width`, or enlarge by the largest whole factor that stays within it."""
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    factor = width // picture.width
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _lay_out(
    rows: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]],
    titles: Sequence[str] = (),
    scale: str | None = None,
) -> Image.Image:
    """Put cells on white paper: titles above the columns, captions below the cells.

    A row with one caption for many cells gives it the whole width. `scale` names the colormap
    whose bar stands in the title of the last column.
    """
    count = max((len(row) for row in rows), default=0)
    widths = [max(row[i].width for row in rows if i < len(row)) for i in range(count)]
    lefts = [MARGIN + sum(widths[:i]) + GAP * i for i in range(count)]
    heights = [max(cell.height for cell in row) + LINE + GAP for row in rows]
    top = MARGIN + (LINE if titles else 0)
    right = lefts[-1] + widths[-1] if count else MARGIN
    sheet = Image.new("RGB", (right + MARGIN, top + sum(heights) - GAP + MARGIN if rows else top), PAPER)
    pen = ImageDraw.Draw(sheet)
    for left, title, width in zip(lefts, titles, widths, strict=False):
        pen.text((left, MARGIN - 4), _shorten(title, width, 14), INK, font(14))
    if scale and count and font(14).getlength(titles[-1]) + 110 <= widths[-1]:  # else it would stand on the title
        _color_bar(sheet, lefts[-1], widths[-1], scale)
    for row, words, height in zip(rows, captions, heights, strict=True):
        ground = top + height - LINE - GAP
        for cell, left in zip(row, lefts, strict=False):
            sheet.paste(cell, (left, ground - cell.height))
        for text, left, width in _spans(words, lefts, widths, right):
            pen.text((left, ground + 3), _shorten(text, width, 12), FAINT, font(12))
        top += height
    return sheet


def _spans(
    words: Sequence[str], lefts: Sequence[int], widths: Sequence[int], right: int
) -> Iterator[tuple[str, int, int]]:
    """Each caption of a row with its left edge and the width it may take."""
    if len(words) == 1:
        yield words[0], lefts[0], right - lefts[0]
    else:
        yield from zip(words, lefts, widths, strict=False)


def _color_bar(sheet: Image.Image, left: int, width: int, colormap: str) -> None:
    """A small bar of the error's colours with its two ends, right-aligned in the title of a column."""
    pen, length = ImageDraw.Draw(sheet), min(64, width // 4)
    start = left + width - length - 26
    bar = (_colors(colormap)(np.linspace(0, 1, length))[:, :3] * 255).astype(np.uint8)
    sheet.paste(Image.fromarray(bar[None].repeat(8, 0)), (start, MARGIN + 1))
    pen.text((start - 12, MARGIN - 3), "0", FAINT, font(12))
    pen.text((start + length + 5, MARGIN - 3), f"{ERROR_RANGE:g}", FAINT, font(12))


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The sans-serif that comes with matplotlib: Latin, Greek and Cyrillic on every machine."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def _shorten(text: str, width: int, size: int) -> str:
    """Shorten `text` to `width` pixels, by an ellipsis in its middle."""
    if font(size).getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if font(size).getlength(short) <= width:
            return short
    return "…"
