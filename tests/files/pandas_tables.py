"""Tables that pandas writes."""

import numpy as np
import pandas as pd

LEVELS = ["scorer", "individuals", "bodyparts", "coords"]


def frame(animals: int, rows: int = 3) -> pd.DataFrame:
    """Return a table as DeepLabCut has it, numbers all different."""
    names = [f"m{n}" for n in range(animals)]
    words = [["net"], names, ["snout", "tail base"], ["x", "y", "likelihood"]]
    columns = pd.MultiIndex.from_product(words, names=LEVELS)
    if animals == 1:
        columns = columns.droplevel("individuals")
    values = np.arange(rows * len(columns), dtype=np.float64).reshape(rows, -1)
    values[1, 0] = np.nan
    return pd.DataFrame(values, columns=columns)
