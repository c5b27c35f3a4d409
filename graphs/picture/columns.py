"""Text in columns."""

from collections.abc import Sequence

from rich.cells import cell_len


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """A table as lines of plain text; `right` names the columns that are aligned to the right."""
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    lines = []
    for row in (headings, *rows):
        spaces = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = zip(headings, row, spaces, strict=True)
        lines.append("  ".join(gap + cell if heading in right else cell + gap for heading, cell, gap in cells).rstrip())
    return lines
