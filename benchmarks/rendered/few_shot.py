"""Tables of learning from few examples."""

import numpy as np

from rendered.parts import markdown


def sinusoid(rows):
    """Mean squared error by steps of adaptation, one line a method: the mean of the seeds, lowest and highest."""
    steps = ("mse_0", "mse_1", "mse_10")
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        cells = []
        for step in steps:
            values = [row[step] for row in own]
            if not np.isfinite(values).all():
                cells.append("diverges")
                continue
            spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}")
        lines.append([method, *cells, str(len(own))])
    return markdown(["method", "before", "after 1 step", "after 10 steps", "seeds"], lines)
