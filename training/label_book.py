"""Pictures that a person labels: read, changed point by point, saved after every change."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.labels import LabelsError, read_labels

FILE = "CollectedData.csv"
PICTURES = "labeled-data"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(eq=False)
class LabelBook:
    """A folder with `labeled-data/VIDEO/*.png` and one `CollectedData.csv`.

    That is Lightning Pose's layout, and DeepLabCut's table; `read_labels` reads it.
    """

    folder: Path
    scorer: str
    bodyparts: tuple[str, ...]
    names: list[str]
    """The pictures, relative to the folder, with slashes; in order."""
    points: NDArray[np.float32]
    """(picture, body part, 2), px, x right, y down; NaN: not to be seen."""
    done: NDArray[np.bool_]
    """(picture,): a person has looked at it; only these are learned from."""

    def path(self, picture: int) -> Path:
        """Return where a picture is."""
        return self.folder.joinpath(*self.names[picture].split("/"))

    def place(self, picture: int, part: int, x: float, y: float) -> None:
        """Put a body part where it is seen, and save."""
        self.points[picture, part] = x, y
        self.done[picture] = True
        self.save()

    def remove(self, picture: int, part: int) -> None:
        """Say that a body part is not to be seen, and save."""
        self.points[picture, part] = np.nan
        self.done[picture] = True
        self.save()

    def accept(self, picture: int) -> None:
        """Say that all is as it should be, though nothing was changed; and save."""
        self.done[picture] = True
        self.save()

    def suggest(self, picture: int, points: NDArray[np.float32]) -> None:
        """Show points that a network found, (body part, 2), until a person says so."""
        if not self.done[picture]:
            self.points[picture] = points

    @property
    def left(self) -> int:
        """How many pictures nobody has looked at."""
        return int((~self.done).sum())

    def save(self) -> None:
        """Write the table, whole or not at all; OSError: it can't be written."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        parts = [part for part in self.bodyparts for _ in "xy"]
        table.writerow(["scorer", *[self.scorer] * len(parts)])
        table.writerow(["bodyparts", *parts])
        table.writerow(["coords", *["x", "y"] * len(self.bodyparts)])
        for picture in np.flatnonzero(self.done):
            numbers = self.points[picture].ravel().tolist()
            cells = ["" if np.isnan(n) else f"{n:.2f}" for n in numbers]
            table.writerow([self.names[picture], *cells])
        draft = self.folder / f"{FILE}.new"
        draft.write_text(text.getvalue(), encoding="utf-8", newline="")
        draft.replace(self.folder / FILE)


def open_book(
    folder: Path, bodyparts: Sequence[str] = (), scorer: str = "me"
) -> LabelBook:
    """Return the pictures of a folder and what is known of them.

    `bodyparts` are those of a new book; one that exists has its own. LabelsError says
    what is wrong with its table, or that there are no body parts.
    """
    pictures = folder / PICTURES
    found = sorted(
        file.relative_to(folder).as_posix()
        for file in pictures.rglob("*")
        if file.suffix.lower() in _SUFFIXES
    )
    if not (folder / FILE).exists():
        if not bodyparts:
            raise LabelsError([f"{folder} has no {FILE} yet: name its body parts"])
        shape = len(found), len(bodyparts), 2
        points = np.full(shape, np.nan, np.float32)
        done = np.zeros(len(found), np.bool_)
        return LabelBook(folder, scorer, tuple(bodyparts), found, points, done)
    rows = (folder / FILE).read_text("utf-8-sig").splitlines()
    if len(rows) <= 3:  # all of them were taken back
        parts = tuple(rows[1].split(",")[1::2]) if len(rows) > 1 else tuple(bodyparts)
        (folder / FILE).unlink()
        return open_book(folder, parts, scorer)
    labels = read_labels(folder / FILE, pictures=False)
    names = list(dict.fromkeys([*labels.names, *found]))
    points = np.full(
        (len(names), len(labels.skeleton.bodyparts), 2), np.nan, np.float32
    )
    points[: len(labels.names)] = labels.points
    done = np.zeros(len(names), np.bool_)
    done[: len(labels.names)] = True
    who = rows[0].split(",")[1]
    return LabelBook(folder, who, labels.skeleton.bodyparts, names, points, done)
