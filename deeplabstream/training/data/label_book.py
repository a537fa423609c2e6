"""Manual labels of a folder of images: read, edited, saved after every change."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.atomic_replace import replace
from deeplabstream.training.data.label_files import write_dlc_video, write_labels
from deeplabstream.training.data.labels import (
    PICTURES,
    Labels,
    LabelsError,
    read_labels,
    read_rows,
)
from deeplabstream.training.data.projects import (
    DLC_CONFIG,
    body_parts,
    open_project,
    read_yaml,
)

FILE = "CollectedData.csv"
PROPOSALS = "proposals.csv"
"""Points that networks found in images not yet reviewed; written like labels."""
UNFINISHED = "unfinished.csv"
"""Points of images of which a person has placed some body parts and accepted nothing."""
UNCERTAIN = "uncertain.csv"
"""Images to label first, the most uncertain in the first row, and the reason of each."""
BONES = "bones.csv"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(eq=False)
class LabelBook:
    """A folder with `labeled-data/VIDEO/*.png` and its labels.

    They are in one `CollectedData.csv`, as Lightning Pose has it; in a DeepLabCut project
    in a CSV and an HDF5 in the folder of each video, where an image without any point
    counts as not looked at. `open_project` reads both.
    """

    folder: Path
    scorer: str
    bodyparts: tuple[str, ...]
    names: list[str]
    """The images, relative to the folder, with slashes; in order."""
    points: NDArray[np.float32]
    """(image, body part, 2), px, x right, y down; NaN: not visible."""
    done: NDArray[np.bool_]
    """(image,): reviewed; only these are used for training."""
    proposed: NDArray[np.bool_]
    """(image,): points of a network, perhaps edited, that are not yet reviewed."""
    project: bool = False
    """Whether it is a DeepLabCut project."""
    edges: tuple[tuple[str, str], ...] = ()
    """Lines between body parts, to draw."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why images are uncertain, by name."""
    first_new: int = 0
    """Images before it stood in the table of labels, in this order."""

    def path(self, picture: int) -> Path:
        """Return where an image is."""
        return self.folder.joinpath(*self.names[picture].split("/"))

    @property
    def unfinished(self) -> NDArray[np.bool_]:
        """(image,): a person has placed some of its body parts and not accepted it."""
        some = np.isfinite(self.points).any(axis=(1, 2))
        return np.asarray(some & ~self.done & ~self.proposed)

    def place(self, picture: int, part: int, x: float, y: float) -> None:
        """Set the position of a body part, and save; with the last one it is labelled."""
        self.points[picture, part] = (x, y)
        whole = bool(np.isfinite(self.points[picture]).all())
        self.done[picture] |= whole and not self.proposed[picture]
        self._save_change(picture)

    def remove(self, picture: int, part: int) -> None:
        """Mark a body part as not visible, and save."""
        self.points[picture, part] = np.nan
        self._save_change(picture)

    def _save_change(self, picture: int) -> None:
        if self.done[picture]:
            self.save(picture)
        self.save_proposals()

    def accept(self, picture: int) -> None:
        """Mark an image as reviewed, and save."""
        self.done[picture], self.proposed[picture] = True, False
        self._save_change(picture)

    def restore(
        self, picture: int, points: NDArray[np.float32], done: bool, proposed: bool
    ) -> None:
        """Restore an earlier state of an image, and save."""
        self.points[picture] = points
        self.done[picture], self.proposed[picture] = done, proposed
        self.save(picture)
        self.save_proposals()

    def join(self, edges: Sequence[tuple[str, str]]) -> None:
        """Change the skeleton's lines; OSError: they can't be written."""
        self.edges = tuple(edges)
        lines = [f"{one},{other}\n" for one, other in edges]
        (self.folder / BONES).write_text("".join(lines), encoding="utf-8")

    @property
    def left(self) -> int:
        """Number of images not yet reviewed."""
        return int((~self.done).sum())

    def save(self, changed: int | None = None) -> None:
        """Write the labels, whole or not at all; OSError: they can't be written.

        Of a DeepLabCut project only the tables of the image that was `changed`.
        """
        every = np.flatnonzero(self.done).tolist()
        places = [place for place in every if place < self.first_new]
        new = [place for place in every if place >= self.first_new]
        places += sorted(new, key=self.names.__getitem__)  # in the order of recording
        if not self.project:
            self._write(self.folder / FILE, places)
            return
        videos = [name.rpartition("/")[0] for name in self.names]
        chosen = {videos[changed]} if changed is not None else set(videos)
        for video in chosen:
            own = [place for place in places if videos[place] == video]
            names = [self.names[place] for place in own]
            write_dlc_video(
                self.folder.joinpath(*video.split("/")),
                self.scorer,
                self.bodyparts,
                names,
                self.points[own],
            )

    def save_proposals(self) -> None:
        """Write the points of images that are not accepted; OSError as above."""
        waiting = {PROPOSALS: self.proposed & ~self.done, UNFINISHED: self.unfinished}
        for name, chosen in waiting.items():
            if chosen.any():
                self._write(self.folder / name, np.flatnonzero(chosen).tolist())
            else:
                (self.folder / name).unlink(missing_ok=True)

    def _write(self, file: Path, places: Sequence[int]) -> None:
        names = [self.names[place] for place in places]
        points = self.points[list(places)]
        write_labels(file, self.scorer, self.bodyparts, names, points)


def open_book(
    folder: Path, bodyparts: Sequence[str] = (), scorer: str = "me"
) -> LabelBook:
    """Return the images of a folder, what is known of them and what is proposed.

    `bodyparts` are those of a new book; one that exists has its own. LabelsError says
    what is wrong with its table, that there are no body parts, or several animals.
    """
    found = sorted(
        file.relative_to(folder).as_posix()
        for file in (folder / PICTURES).rglob("*")
        if file.suffix.lower() in _SUFFIXES
    )
    project = (folder / DLC_CONFIG).is_file() and not (folder / FILE).exists()
    labels: Labels | None = None
    if project:
        words = read_yaml(folder / DLC_CONFIG)
        if words.get("multianimalproject"):
            raise LabelsError(
                [
                    f"{folder} is a project of several animals, and here one is labelled in "
                    "each image: label them in DeepLabCut, then "
                    f"python utils/TrainNetwork.py --data {folder} trains from it"
                ]
            )
        scorer = str(words.get("scorer") or scorer)
        bodyparts = body_parts(folder / DLC_CONFIG, words) or bodyparts
        if _labelled(folder.glob(f"{PICTURES}/*/CollectedData*.csv")):
            labels = open_project(folder, folder).labels
    elif (folder / FILE).exists():
        rows = read_rows(folder / FILE)
        if len(rows) > 3:
            labels = read_labels(folder / FILE, pictures=False)
            scorer = next((cell for cell in rows[0][1:] if cell), scorer)
        else:  # all of them were taken back
            bodyparts = _header_parts(folder / FILE) or bodyparts
    bodyparts = _waiting_parts(folder, bodyparts)
    reasons = read_uncertain(folder)
    rank = {name: place for place, name in enumerate(reasons)}
    found.sort(key=lambda name: (rank.get(name, len(rank)), name))
    names = list(dict.fromkeys([*(labels.names if labels else ()), *found]))
    parts = labels.skeleton.bodyparts if labels else tuple(bodyparts)
    if not parts:
        raise LabelsError([f"{folder} has no {FILE} yet: name its body parts"])
    points = np.full((len(names), len(parts), 2), np.nan, np.float32)
    done = np.zeros(len(names), np.bool_)
    if labels is not None:
        points[: len(labels.names)] = labels.points
        seen = np.isfinite(labels.points).any(axis=(1, 2))
        done[: len(labels.names)] = seen if project else True
    none = np.zeros(len(names), np.bool_)
    book = LabelBook(folder, scorer, parts, names, points, done, none, project)
    book.reasons, book.first_new = reasons, len(labels.names) if labels else 0
    for waiting in (UNFINISHED, PROPOSALS):
        _take_waiting(book, folder / waiting)
    if (folder / BONES).is_file():
        pairs = [tuple(row) for row in read_rows(folder / BONES)]
    else:
        pairs = list(labels.skeleton.edges) if labels else []
    book.edges = tuple(
        (pair[0], pair[1])
        for pair in pairs
        if len(pair) == 2 and set(pair) <= set(parts)
    )
    return book


def read_uncertain(folder: Path) -> dict[str, str]:
    """Return the reason of each uncertain image, the most uncertain first."""
    file = folder / UNCERTAIN
    rows = read_rows(file)[1:] if file.is_file() else []
    return {row[0]: row[1] for row in rows if len(row) == 2}


def write_uncertain(folder: Path, reasons: Mapping[str, str]) -> None:
    """Put images, the most uncertain first, before those that are uncertain already.

    OSError: the file can't be written.
    """
    told = [*reasons.items(), *read_uncertain(folder).items()]
    first = dict(reversed(told))  # of an image with two reasons, the new one
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    names = dict.fromkeys(name for name, _ in told)
    table.writerows([("image", "reason"), *((name, first[name]) for name in names)])
    draft = folder / f"{UNCERTAIN}.new"
    draft.write_text(text.getvalue(), encoding="utf-8", newline="")
    replace(draft, folder / UNCERTAIN)


def _waiting_parts(folder: Path, bodyparts: Sequence[str]) -> Sequence[str]:
    """Return the body parts of a person's points, else those given, else a network's."""
    own, proposed = folder / UNFINISHED, folder / PROPOSALS
    if own.is_file():
        return _header_parts(own)
    if not bodyparts and proposed.is_file():
        return _header_parts(proposed)
    return bodyparts


def _labelled(files: Iterable[Path]) -> bool:
    return any(len(read_rows(file)) > 3 for file in files)


def _header_parts(file: Path) -> Sequence[str]:
    """Return the body parts of a table without points."""
    rows = read_rows(file)
    return [name for name in dict.fromkeys(rows[1][1:]) if name] if rows[1:] else ()


def _take_waiting(book: LabelBook, file: Path) -> None:
    """Take over the points of images that are not accepted; a person's come first."""
    if not file.is_file() or len(read_rows(file)) <= 3:
        return
    waiting = read_labels(file, pictures=False)
    places = {name: place for place, name in enumerate(book.names)}
    unfinished = book.unfinished
    for name, own in zip(waiting.names, waiting.points, strict=True):
        place = places.get(name)
        if place is None or book.done[place] or unfinished[place]:
            continue
        for part, xy in zip(waiting.skeleton.bodyparts, own, strict=True):
            if part in book.bodyparts:
                book.points[place, book.bodyparts.index(part)] = xy
        book.proposed[place] = file.name == PROPOSALS
