"""Manual labels of a folder of images: read, edited, saved after every change."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.arguments import quoted
from deeplabstream.core.atomic_replace import replace
from deeplabstream.training.data.dlc_config import write_individuals
from deeplabstream.training.data.label_files import (
    UniqueParts,
    write_dlc_video,
    write_labels,
)
from deeplabstream.training.data.labels import (
    PICTURES,
    SINGLE,
    Labels,
    LabelsError,
    read_labels,
    read_rows,
)
from deeplabstream.training.data.projects import (
    DLC_CONFIG,
    arranged,
    body_parts,
    open_project,
    read_yaml,
    words_of,
)

FILE = "CollectedData.csv"
PROPOSALS = "proposals.csv"
"""Points that networks found in images not yet reviewed; written like labels."""
UNFINISHED = "unfinished.csv"
"""Points of images of which a person has placed some body parts and accepted nothing."""
UNCERTAIN = "uncertain.csv"
"""Images to label first, in their order, and the reason of each."""
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
    """(image, body part, 2), px, x right, y down; NaN: not visible. With `individuals`
    (image, animal · body part, 2), one animal's body parts after the other's."""
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
    individuals: tuple[str, ...] = ()
    """Names of the animals; empty: one animal without a name."""
    unique: UniqueParts = field(default_factory=UniqueParts)
    """DeepLabCut's points that belong to no animal: written back as they were read."""
    fault: str = ""
    """Why the last change could not be saved; empty: all is saved."""
    unsaved: set[int] = field(default_factory=set)
    """Labelled images whose tables could not be written."""

    def __post_init__(self) -> None:
        whole = np.isfinite(self.points).all(axis=(1, 2))
        self.copied = whole & ~self.done & ~self.proposed
        """(image,): with copied points, and so not labelled before it is accepted."""

    @property
    def animals(self) -> int:
        """Number of animals that an image has at most."""
        return max(1, len(self.individuals))

    def path(self, image: int) -> Path:
        """Return where an image is."""
        return self.folder.joinpath(*self.names[image].split("/"))

    @property
    def unfinished(self) -> NDArray[np.bool_]:
        """(image,): a person has placed some of its body parts and not accepted it."""
        some = np.isfinite(self.points).any(axis=(1, 2))
        return np.asarray(some & ~self.done & ~self.proposed)

    def place(self, image: int, part: int, x: float, y: float) -> None:
        """Set the position of a body part, and save; with the last one it is labelled."""
        self.points[image, part] = (x, y)
        whole = bool(np.isfinite(self.points[image]).all())
        review = self.proposed[image] | self.copied[image]
        self.done[image] |= whole and not review
        self._save_change(image)

    def remove(self, image: int, part: int) -> None:
        """Mark a body part as not visible, and save."""
        self.points[image, part] = np.nan
        self._save_change(image)

    def _save_change(self, image: int, *, was_labelled: bool = False) -> None:
        """Save; what can't be saved is kept, and saved with the next change."""
        if self.done[image] or was_labelled:
            self.unsaved.add(image)
        self.save_unsaved()

    def save_unsaved(self) -> None:
        """Write what is not saved yet; what can't be written is kept, see `fault`."""
        try:
            if self.unsaved or not self.names:
                self.save(self.unsaved)
            self.save_proposals()
        except OSError as error:
            reason = error.strerror or error
            self.fault = f"Not saved in {error.filename or self.folder}: {reason}"
        else:
            self.unsaved.clear()
            self.fault = ""

    def accept(self, image: int) -> None:
        """Mark an image as reviewed, and save."""
        self.done[image], self.proposed[image] = True, False
        self.copied[image] = False
        self._save_change(image)

    def swap(self, image: int, one: int, other: int) -> None:
        """Exchange the points of two animals, and save."""
        points = self.of_animals(image)
        points[[one, other]] = points[[other, one]]
        self._save_change(image)

    def copy(self, image: int, source: int) -> int:
        """Give body parts without a point those of another image, and save.

        An image that is not labelled yet has to be accepted then. Returns the number of
        points copied.
        """
        own, theirs = self.points[image], self.points[source]
        new = np.isnan(own).any(axis=1) & np.isfinite(theirs).all(axis=1)
        if not new.any():
            return 0
        own[new] = theirs[new]
        self.copied[image] |= not self.done[image] and not self.proposed[image]
        self._save_change(image)
        return int(new.sum())

    def frame_before(self, image: int) -> int | None:
        """Return the last frame with points before one in the same video; None: none."""
        folder, _, name = self.names[image].rpartition("/")
        some = np.asarray(np.isfinite(self.points).any(axis=(1, 2)))
        before = [
            (other, number)
            for number, each in enumerate(self.names)
            for own, _, other in [each.rpartition("/")]
            if own == folder and other < name and some[number]
        ]
        return max(before)[1] if before else None

    def of_animals(self, image: int) -> NDArray[np.float32]:
        """Return a view (animal, body part, 2) of the points of an image."""
        points: NDArray[np.float32] = self.points[image].reshape(self.animals, -1, 2)
        return points

    def name_animals(self, names: Sequence[str]) -> None:
        """Rename the animals, or add some at the end, or remove the last; save all tables.

        What can't be saved is kept, and saved with the next change: see `fault`.
        LabelsError: a name can't be used, an animal to remove has points, or `config.yaml`
        of the project can't be changed.
        """
        names = tuple(name.strip() for name in names)
        self._check_names(names)
        if self.project:
            write_individuals(self.folder / DLC_CONFIG, names)
        parts = len(self.bodyparts)
        points = np.full((len(self.names), len(names) * parts, 2), np.nan, np.float32)
        kept = min(points.shape[1], self.points.shape[1])
        points[:, :kept] = self.points[:, :kept]
        self.points, self.individuals = points, names
        self.unsaved.update(range(len(self.names)))
        self.save_unsaved()

    def _check_names(self, names: Sequence[str]) -> None:
        """Raise LabelsError where animals can't have these names."""
        if self.project and not self.individuals:
            raise LabelsError(
                [
                    f"{self.folder / DLC_CONFIG} is a project of one animal "
                    "(multianimalproject is not true): make one of several animals in "
                    "DeepLabCut, or label them in a new folder"
                ]
            )
        if wrong := [name for name in names if not name or name.casefold() == SINGLE]:
            raise LabelsError(
                [f"{wrong[0]!r} can't be an animal's name: choose another name"]
            )
        if twice := [name for name in names if list(names).count(name) > 1]:
            raise LabelsError([f"two animals are named {twice[0]}: names must differ"])
        gone = self.points[:, len(names) * len(self.bodyparts) :]
        placed = int(np.isfinite(gone).any(axis=(1, 2)).sum())
        if placed:
            raise LabelsError(
                [
                    f"{self.individuals[-1]} has points in {placed} "
                    f"{'frame' if placed == 1 else 'frames'}: remove them first, then "
                    "the animal"
                ]
            )

    def restore(
        self,
        image: int,
        points: NDArray[np.float32],
        done: bool,
        proposed: bool,
        copied: bool = False,
    ) -> None:
        """Restore an earlier state of an image, and save."""
        own = self.points[image]
        own[:] = np.nan
        own[: len(points)] = points[: len(own)]
        self.done[image], self.proposed[image] = done, proposed
        self.copied[image] = copied
        self._save_change(image, was_labelled=True)

    def join(self, edges: Sequence[tuple[str, str]]) -> None:
        """Change the skeleton's lines; OSError: they can't be written."""
        self.edges = tuple(edges)
        lines = [f"{one},{other}\n" for one, other in edges]
        (self.folder / BONES).write_text("".join(lines), encoding="utf-8")

    @property
    def left(self) -> int:
        """Number of images not yet reviewed."""
        return int((~self.done).sum())

    def save(self, changed: Collection[int] | None = None) -> None:
        """Write the labels, whole or not at all; OSError: they can't be written.

        Of a DeepLabCut project only the tables of the images that were `changed`.
        """
        every = np.flatnonzero(self.done).tolist()
        order = [row for row in every if row < self.first_new]
        new = [row for row in every if row >= self.first_new]
        order += sorted(new, key=self.names.__getitem__)  # in the order of recording
        if not self.project:
            self._write(self.folder / FILE, order)
            return
        videos = [name.rpartition("/")[0] for name in self.names]
        rows = range(len(videos)) if changed is None else changed
        chosen = {videos[row] for row in rows}
        for video in chosen:
            own = [row for row in order if videos[row] == video]
            names = [self.names[row] for row in own]
            write_dlc_video(
                self.folder.joinpath(*video.split("/")),
                self.scorer,
                self.bodyparts,
                names,
                self.points[own],
                self.individuals,
                self.unique,
            )

    def save_proposals(self) -> None:
        """Write the points of images that are not accepted; OSError as above."""
        waiting = {PROPOSALS: self.proposed & ~self.done, UNFINISHED: self.unfinished}
        for name, chosen in waiting.items():
            if chosen.any():
                self._write(self.folder / name, np.flatnonzero(chosen).tolist())
            else:
                (self.folder / name).unlink(missing_ok=True)

    def _write(self, file: Path, order: Sequence[int]) -> None:
        names = [self.names[row] for row in order]
        points = self.points[list(order)]
        unique = self.unique if file.name == FILE else UniqueParts()
        write_labels(
            file, self.scorer, self.bodyparts, names, points,
            individuals=self.individuals, unique=unique,
        )  # fmt: skip


def open_book(
    folder: Path,
    bodyparts: Sequence[str] = (),
    scorer: str = "me",
    individuals: Sequence[str] = (),
) -> LabelBook:
    """Return the images of a folder, what is known of them and what is proposed.

    `bodyparts` and `individuals` are those of a new book; one that exists has its own.
    LabelsError says what is wrong with its table, or that there are no body parts.
    """
    found = sorted(
        file.relative_to(folder).as_posix()
        for file in (folder / PICTURES).rglob("*")
        if file.suffix.lower() in _SUFFIXES
    )
    project = (folder / DLC_CONFIG).is_file() and not (folder / FILE).exists()
    given = _Names(tuple(bodyparts), tuple(individuals), scorer)
    labels, names, unique = (_of_project if project else _of_folder)(folder, given)
    names = _waiting_names(folder, names)
    packages = sorted(folder.glob("*.slp"))
    if labels is None and not found and packages:
        raise LabelsError(
            [
                f"{folder} holds labels of SLEAP: convert them with python "
                f"utils/ConvertProject.py {quoted(packages[0])} --output NEW_FOLDER, or drop the "
                "file on the window"
            ]
        )
    if not names.bodyparts:
        raise LabelsError([f"{folder} has no {FILE} yet: name its body parts"])
    reasons = read_uncertain(folder)
    rank = {name: number for number, name in enumerate(reasons)}
    found.sort(key=lambda name: (rank.get(name, len(rank)), name))
    images = list(dict.fromkeys([*(labels.names if labels else ()), *found]))
    animals = max(1, len(names.individuals))
    shape = len(images), animals * len(names.bodyparts), 2
    points = np.full(shape, np.nan, np.float32)
    done = np.zeros(len(images), np.bool_)
    if labels is not None:
        own, _ = arranged(labels, names.bodyparts, names.individuals, animals)
        points[: len(own)] = own
        alone = np.array([any(unique.row(name)) for name in labels.names], np.bool_)
        seen = np.isfinite(labels.points).any(axis=(1, 2)) | alone
        done[: len(labels.names)] = seen if project else True
    none = np.zeros(len(images), np.bool_)
    book = LabelBook(
        folder, names.scorer, names.bodyparts, images, points, done, none, project,
        individuals=names.individuals, unique=unique,
    )  # fmt: skip
    book.reasons, book.first_new = reasons, len(labels.names) if labels else 0
    for waiting in (UNFINISHED, PROPOSALS):
        _take_waiting(book, folder / waiting)
    book.__post_init__()
    if (folder / BONES).is_file():
        pairs = [tuple(row) for row in read_rows(folder / BONES)]
    else:
        pairs = list(labels.skeleton.edges) if labels else []
    book.edges = tuple(
        (pair[0], pair[1])
        for pair in pairs
        if len(pair) == 2 and set(pair) <= set(names.bodyparts)
    )
    return book


def read_uncertain(folder: Path) -> dict[str, str]:
    """Return the reason of each uncertain image, in the order to label them."""
    file = folder / UNCERTAIN
    rows = read_rows(file)[1:] if file.is_file() else []
    return {row[0]: row[1] for row in rows if len(row) == 2}


def write_uncertain(folder: Path, reasons: Mapping[str, str]) -> None:
    """Put images, in the order to label them, before those that are uncertain already.

    OSError: the file can't be written.
    """
    listed = [*reasons.items(), *read_uncertain(folder).items()]
    first = dict(reversed(listed))  # of an image with two reasons, the new one
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    names = dict.fromkeys(name for name, _ in listed)
    table.writerows([("image", "reason"), *((name, first[name]) for name in names)])
    draft = folder / f"{UNCERTAIN}.new"
    draft.write_text(text.getvalue(), encoding="utf-8", newline="")
    replace(draft, folder / UNCERTAIN)


@dataclass(frozen=True, slots=True)
class _Names:
    bodyparts: tuple[str, ...]
    individuals: tuple[str, ...]
    scorer: str


_Known = tuple[Labels | None, _Names, UniqueParts]


def _of_project(folder: Path, given: _Names) -> _Known:
    """Return what a DeepLabCut project labels and names."""
    words = read_yaml(folder / DLC_CONFIG)
    labels: Labels | None = None
    files = sorted(folder.glob(f"{PICTURES}/*/CollectedData*.csv"))
    written = {file.parent for file in files}
    tables = sorted(folder.glob(f"{PICTURES}/*/CollectedData*.h5"))
    files += [table for table in tables if table.parent not in written]
    if any(len(rows) > _header_rows(rows) for rows in map(read_rows, files)):
        labels = open_project(folder, folder, several=True).labels
    bodyparts = body_parts(folder / DLC_CONFIG, words) or given.bodyparts
    individuals: tuple[str, ...] = ()
    unique = UniqueParts()
    if words.get("multianimalproject"):
        individuals = words_of(words, "individuals")
        if labels is not None and labels.animals > len(individuals):
            individuals = tuple(dict.fromkeys([*individuals, *labels.individuals]))
        if not individuals:
            raise LabelsError([f"{folder / DLC_CONFIG} names no individuals"])
        unique = _unique(files, words_of(words, "uniquebodyparts"))
    elif labels is not None and labels.individuals:
        individuals = labels.individuals
    scorer = str(words.get("scorer") or given.scorer)
    return labels, _Names(tuple(bodyparts), individuals, scorer), unique


def _of_folder(folder: Path, given: _Names) -> _Known:
    """Return what the table of a folder labels and names; a new one what is `given`."""
    if not (folder / FILE).exists():
        return None, given, UniqueParts()
    rows = read_rows(folder / FILE)
    unique = _unique([folder / FILE])
    if len(rows) <= _header_rows(rows):  # all of them were taken back
        own = _header_names(folder / FILE, rows)
        names = _Names(own.bodyparts or given.bodyparts, own.individuals, given.scorer)
        return None, names, unique
    labels = read_labels(folder / FILE, pictures=False, several=True)
    scorer = next((cell for cell in rows[0][1:] if cell), given.scorer)
    parts = labels.skeleton.bodyparts
    return labels, _Names(parts, labels.individuals, scorer), unique


def _waiting_names(folder: Path, names: _Names) -> _Names:
    """Return the names of a person's points, else those given, else a network's."""
    own, proposed = folder / UNFINISHED, folder / PROPOSALS
    if own.is_file():
        waiting = _header_names(own, read_rows(own))
    elif not names.bodyparts and proposed.is_file():
        waiting = _header_names(proposed, read_rows(proposed))
    else:
        return names
    individuals = names.individuals or waiting.individuals
    return _Names(waiting.bodyparts, individuals, names.scorer)


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of header rows of a table."""
    return 3 + (len(rows) > 1 and rows[1][0] == "individuals")


def _check_header(file: Path, rows: Sequence[Sequence[str]]) -> None:
    """Raise LabelsError if the header rows of a table have different lengths."""
    if len({len(row) for row in rows[: _header_rows(rows)]}) > 1:
        raise LabelsError(
            [f"{file}: the rows of the header do not have as many columns"]
        )


def _header_names(file: Path, rows: Sequence[Sequence[str]]) -> _Names:
    """Return the names in the header of a table, which may have no other rows.

    LabelsError: its rows do not fit together.
    """
    count = _header_rows(rows)
    if len(rows) < count:
        return _Names((), (), "")
    _check_header(file, rows)
    owners = rows[1][1:] if count > 3 else [""] * len(rows[1][1:])
    pairs = [
        (name, owner)
        for name, owner in zip(rows[count - 2][1:], owners, strict=True)
        if name and owner != SINGLE
    ]
    bodyparts = tuple(dict.fromkeys(name for name, _ in pairs))
    individuals = tuple(dict.fromkeys(owner for _, owner in pairs if owner))
    return _Names(bodyparts, individuals, "")


def _unique(files: Iterable[Path], named: Sequence[str] = ()) -> UniqueParts:
    """Return the points of tables that belong to no animal; LabelsError: they differ."""
    bodyparts = tuple(named)
    cells: dict[str, list[str]] = {}
    for file in files:
        rows = read_rows(file)
        count = _header_rows(rows)
        if count == 3 or len(rows) < count or set(rows[1][1:]) <= {"", SINGLE}:
            continue
        _check_header(file, rows)
        columns = [column for column, name in enumerate(rows[1]) if name == SINGLE]
        own = tuple(rows[2][column] for column in columns[::2])
        if not own:
            continue
        bodyparts = bodyparts or own
        if own != bodyparts:
            raise LabelsError(
                [
                    f"{file}: the individual {SINGLE} has the body parts {', '.join(own)}, "
                    f"not {', '.join(bodyparts)}"
                ]
            )
        first = next(column for column, name in enumerate(rows[1]) if column and name)
        for row in rows[4:]:
            name = "/".join(row[:first]).replace("\\", "/")
            cells[name] = [row[column] for column in columns if column < len(row)]
    return UniqueParts(bodyparts, cells)


def _take_waiting(book: LabelBook, file: Path) -> None:
    """Take over the points of images that are not accepted; a person's come first."""
    if not file.is_file():
        return
    rows = read_rows(file)
    if len(rows) <= _header_rows(rows):
        return
    waiting = read_labels(file, pictures=False, several=True)
    numbers = {name: number for number, name in enumerate(book.names)}
    unfinished = book.unfinished
    animals = max(book.animals, waiting.animals)
    points, _ = arranged(waiting, book.bodyparts, book.individuals, animals)
    for name, own in zip(waiting.names, points, strict=True):
        number = numbers.get(name)
        if number is None or book.done[number] or unfinished[number]:
            continue
        there = np.isfinite(own[: book.points.shape[1]])
        book.points[number][there] = own[: book.points.shape[1]][there]
        book.proposed[number] = file.name == PROPOSALS
