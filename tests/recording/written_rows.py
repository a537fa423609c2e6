"""The rows of a table as they stand in the file, its header first; nothing is judged."""

import csv
from pathlib import Path


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))
