"""A table of text in LaTeX, with the rules of the package booktabs."""

from collections.abc import Sequence

from crossband.recipes.basics.parts import Grid
from crossband.registry import visible

SIGNS = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\textasciigrave{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"},
    **{"[": "{[}", "]": "{]}"},  # behind the end of a row, a bracket would be the space below it
    **{"±": r"$\pm$", "−": "$-$", "×": r"$\times$", "∞": r"$\infty$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"},
    "–": "--",
}


def escaped(text: str) -> str:
    """A text of anybody as LaTeX prints it: no sign of it is a command, and none acts on a terminal.

    What stands between two backticks is set as code.
    """
    parts = visible(" ".join(text.split())).split("`")
    if len(parts) % 2 == 0:  # one of them has no other
        parts[-2:] = ["`".join(parts[-2:])]
    plain = ["".join(SIGNS.get(sign, sign) for sign in part) for part in parts]
    return "".join(rf"\texttt{{{part}}}" if number % 2 else part for number, part in enumerate(plain))


def latex_table(grid: Grid, *, label: str, caption: str, notes: Sequence[str] = ()) -> str:
    """A `table` with a `tabular`; the best cells are bold, `notes` stand below it in small print.

    It needs `\\usepackage{booktabs}`.
    """
    rows = [
        [rf"\textbf{{{escaped(cell)}}}" if (i, j) in grid.best else escaped(cell) for j, cell in enumerate(row)]
        for i, row in enumerate(grid.rows)
    ]
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{grid.align}}}",
        r"\toprule",
        _line([escaped(header) for header in grid.headers]),
        r"\midrule",
        *map(_line, rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize {escaped(note)}\par}}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
