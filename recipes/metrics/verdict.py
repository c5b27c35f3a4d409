"""The usual failures of a network that makes infrared images, in words: a grey copy of its input, an inversion."""

from crossband.recipes.metrics.evaluation import Table

WEAK = 0.2  # mean correlations nearer to zero than this show no likeness
MARGIN = 0.01  # correlations that differ by less are alike


def verdicts(table: Table) -> list[str]:
    """Name the failures that a system's images show, with the correlations that show them; empty if there are none.

    Needs `corr_target`, and `corr_input` for copies. If there is `corr_input_real` as well, only outputs nearer to
    the input than the real targets are called a copy.
    """
    means = {name: summary.mean for name, summary in table.summary.items()}
    with_target, with_input, real = (means.get(name) for name in ("corr_target", "corr_input", "corr_input_real"))
    if with_target is None:
        return []
    lines = []
    if with_input is not None and abs(with_input) > max(WEAK, abs(with_target) + MARGIN):
        copy = "a grey copy" if with_input > 0 else "an inverted grey copy"
        nearer = abs(with_input) > abs(real or 0) + MARGIN
        failure = f"looks like {copy} of the input" if nearer else "follows its input more than its target"
        figures = f"its correlation with the input is {with_input:.3f}, with the target {with_target:.3f}"
        lines.append(f"{failure}: {figures}" + ("" if real is None else f" (target with input: {real:.3f})"))
    if with_target <= -WEAK:
        lines.append(f"looks inverted: its correlation with the target is {with_target:.3f}")
    elif with_target < 0:
        lines.append(f"does not follow the target: its correlation with the target is {with_target:.3f}")
    return lines
