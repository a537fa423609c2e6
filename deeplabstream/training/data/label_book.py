"""Manual labels of a folder of images: read, edited, saved after every change."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files import atomic_replace
from deeplabstream.files.exclusive_writing import WINDOW_PATIENCE_S, exclusive
from deeplabstream.files.paths import paths_below
from deeplabstream.pose.image_files import SUFFIXES
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.data.dlc_config import write_individuals
from deeplabstream.training.data.label_files import (
    UniqueParts,
    with_visibility,
    write_dlc_video,
    write_labels,
)
from deeplabstream.training.data.labels import (
    LABELED_DATA,
    SINGLE,
    TABLE,
    Labels,
    LabelsError,
    has_points,
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
"""Points of images of which a person has placed some body parts and accepted nothing.

An image that stands in both tables has a proposal that a person has changed."""
UNCERTAIN = "uncertain.csv"
"""Images to label first, in their order, and the reason of each."""
BONES = "bones.csv"


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
    known: NDArray[np.bool_]
    """(image, body part), likewise; False: the table says that nothing is known of it."""
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
    scorers: Mapping[str, str] = field(default_factory=dict)
    """By folder of a DeepLabCut project's video: the scorer of its table, if another."""
    fault: str = ""
    """Why the last change could not be saved; empty: all is saved."""
    unsaved: set[int] = field(default_factory=set)
    """Labelled images whose tables could not be written."""
    edited: set[int] = field(default_factory=set)
    """Images of which a person has changed the proposal: they get no other one."""
    changed: set[int] = field(default_factory=set)
    """Images that a person has changed here since all was saved."""
    predicted: set[int] = field(default_factory=set)
    """Images with points that a network has proposed here."""
    tables: dict[Path, dict[Path, bytes]] = field(default_factory=dict)
    """By folder, the tables as they were last read or written here."""

    def __post_init__(self) -> None:
        whole = np.isfinite(self.points).all(axis=(1, 2))
        self.copied = whole & ~self.done & ~self.proposed
        """(image,): with copied points, and so not labelled before it is accepted."""

    @property
    def new(self) -> bool:
        """Whether nothing is labelled yet: body parts and animals may still change."""
        tables = (FILE, UNFINISHED, PROPOSALS)
        written = any((self.folder / name).exists() for name in tables)
        return not (self.project or self.fault or written)

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
        self.known[image, part] = True
        whole = bool(np.isfinite(self.points[image]).all())
        review = self.proposed[image] | self.copied[image]
        self.done[image] |= whole and not review
        self._save_change(image)

    def remove(self, image: int, part: int) -> None:
        """Mark a body part as not visible, and save."""
        self.points[image, part] = np.nan
        self.known[image, part] = True
        self._save_change(image)

    def _save_change(self, image: int, *, was_labelled: bool = False) -> None:
        """Save; what can't be saved is kept, and saved with the next change."""
        self.changed.add(image)
        if self.proposed[image] and not was_labelled:
            self.edited.add(image)
        if self.done[image] or was_labelled:
            self.unsaved.add(image)
        self.save_unsaved()

    def save_unsaved(self) -> None:
        """Write what is not saved yet; what can't be written is kept, see `fault`."""
        try:
            with self._exclusively(self.changed):
                if self.unsaved or not self.names:
                    self._write_labelled(self.unsaved)
                self._write_waiting()
        except OSError as error:
            reason = error.strerror or error
            self.fault = f"Not saved in {error.filename or self.folder}: {reason}"
        except DeepLabStreamError as error:
            self.fault = f"Not saved: {error}"
        else:
            self.unsaved.clear()
            self.changed.clear()
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
        known = self.known[image].reshape(self.animals, -1)
        known[[one, other]] = known[[other, one]]
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
        self.known[image, new] = True
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
        known = np.ones(points.shape[:2], np.bool_)
        known[:, :kept] = self.known[:, :kept]
        self.points, self.known, self.individuals = points, known, names
        self.unsaved.update(range(len(self.names)))
        self.changed.update(self.unsaved)
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
        known: NDArray[np.bool_] | None = None,
    ) -> None:
        """Restore an earlier state of an image, and save; `known` None: all of it is."""
        own = self.points[image]
        own[:] = np.nan
        own[: len(points)] = points[: len(own)]
        self.known[image] = True
        if known is not None:
            self.known[image, : len(known)] = known[: len(own)]
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

        Of a DeepLabCut project only the tables of the images that were `changed`. What
        another program has written since is taken over first, see `_merge`.
        DeepLabStreamError: that can't be done, or another program is writing.
        """
        with self._exclusively(changed):
            self._write_labelled(changed)

    def save_proposals(self) -> None:
        """Write the points of images that are not accepted; errors as above."""
        with self._exclusively(()):
            self._write_waiting()

    @contextmanager
    def _exclusively(self, changed: Collection[int] | None) -> Iterator[None]:
        """Keep other programs out for the block; first take over what they have written."""
        folders = {self.folder}
        if self.project:
            rows = range(len(self.names)) if changed is None else changed
            folders |= {self.path(row).parent for row in rows}
        with exclusive(self.folder / FILE, WINDOW_PATIENCE_S):
            if any(self.tables.get(each, {}) != _read_tables(each) for each in folders):
                self._merge()
            try:
                yield
            finally:
                self.tables |= {each: _read_tables(each) for each in folders}

    def _merge(self) -> None:
        """Take over what the tables now say of images that were not changed here.

        A person's points in them also replace those that a network has proposed here. An
        image that was reviewed there and changed here is reviewed, with the points of both.
        LabelsError: body parts or animals are not the same any more.
        """
        there = open_book(self.folder, self.bodyparts, self.scorer, self.individuals)
        own_names = self.bodyparts, self.individuals, self.project
        if own_names != (there.bodyparts, there.individuals, there.project):
            raise LabelsError(
                [
                    f"another program has changed body parts or animals in {self.folder}. "
                    "Open the folder again, and set the last points again"
                ]
            )
        rows = {name: row for row, name in enumerate(self.names)}
        new = [row for row, name in enumerate(there.names) if name not in rows]
        by_person = there.done | there.unfinished
        by_person[sorted(there.edited)] = True
        taken = [
            (own, row)
            for row, own in enumerate(map(rows.get, there.names))
            if own is not None and own not in self.changed
            if by_person[row] or own not in self.predicted
        ]
        reviewed = {
            there.names[row]: row for row in np.flatnonzero(there.done).tolist()
        }
        for own in sorted(self.changed - self.unsaved):
            if (row := reviewed.get(self.names[own])) is not None:
                lacking = np.isnan(self.points[own]).any(axis=1)
                self.points[own][lacking] = there.points[row][lacking]
                self.known[own][lacking] = there.known[row][lacking]
                self.done[own], self.proposed[own] = True, False
                self.unsaved.add(own)
        here, from_there = [own for own, _ in taken], [row for _, row in taken]
        for key, values in vars(self).items():
            if isinstance(values, np.ndarray):  # all of them have a row per image
                theirs = getattr(there, key)
                values[here] = theirs[from_there]
                setattr(self, key, np.concatenate([values, theirs[new]]))
        taken += [(len(self.names) + at, row) for at, row in enumerate(new)]
        self.names += [there.names[row] for row in new]
        self.edited -= {own for own, row in taken if row not in there.edited}
        self.edited |= {own for own, row in taken if row in there.edited}
        self.scorer, self.scorers = there.scorer, there.scorers
        self.unique, self.tables = there.unique, there.tables

    def _write_labelled(self, changed: Collection[int] | None) -> None:
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
                self.scorers.get(video, self.scorer),
                self.bodyparts,
                names,
                self.points[own],
                self.individuals,
                self.unique,
            )

    def _write_waiting(self) -> None:
        proposed, own = self.proposed & ~self.done, self.unfinished
        edited = sorted(self.edited)
        own[edited] |= proposed[edited]
        waiting = {UNFINISHED: own, PROPOSALS: proposed}
        for name, chosen in waiting.items():
            if chosen.any():
                self._write(self.folder / name, np.flatnonzero(chosen).tolist())
            else:
                (self.folder / name).unlink(missing_ok=True)

    def _write(self, file: Path, order: Sequence[int]) -> None:
        names = [self.names[row] for row in order]
        points, known = self.points[list(order)], self.known[list(order)]
        unique = self.unique if file.name == FILE else UniqueParts()
        if not known.all() and not unique.bodyparts:
            points = with_visibility(points, known)
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
    videos = (folder / LABELED_DATA).glob("*")
    tables = {each: _read_tables(each) for each in (folder, *videos)}  # before the rest
    below = (file.relative_to(folder) for file in paths_below(folder / LABELED_DATA))
    found = sorted(
        name.as_posix()
        for name in below
        if name.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in name.parts)  # drafts
    )
    project = (folder / DLC_CONFIG).is_file() and not (folder / FILE).exists()
    given = _Names((), tuple(individuals), scorer)
    labels, names, unique = (_of_project if project else _of_folder)(folder, given)
    if not (project and names.bodyparts):  # others would not fit config.yaml
        names = _waiting_names(folder, names, tuple(bodyparts))
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
    known = np.ones(shape[:2], np.bool_)
    done = np.zeros(len(images), np.bool_)
    if labels is not None:
        own, told = arranged(labels, names.bodyparts, names.individuals, animals)
        points[: len(own)], known[: len(own)] = own, told
        alone = np.array([any(unique.row(name)) for name in labels.names], np.bool_)
        seen = np.isfinite(labels.points).any(axis=(1, 2)) | alone
        done[: len(labels.names)] = seen if project else True
    none = np.zeros(len(images), np.bool_)
    book = LabelBook(
        folder, names.scorer, names.bodyparts, images, points, known, done, none,
        project, individuals=names.individuals, unique=unique, scorers=names.scorers,
        tables=tables,
    )  # fmt: skip
    book.reasons, book.first_new = reasons, len(labels.names) if labels else 0
    placed = _take_waiting(book, folder / UNFINISHED)
    book.edited = placed & _take_waiting(book, folder / PROPOSALS)
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


def _read_tables(folder: Path) -> dict[Path, bytes]:
    """Return the tables of labels in a folder, as they are."""
    tables: dict[Path, bytes] = {}
    for pattern in ("CollectedData*.csv", UNFINISHED, PROPOSALS):
        for file in folder.glob(pattern):
            with suppress(OSError):  # gone meanwhile, or `read_rows` says what is wrong
                tables[file] = file.read_bytes()
    return tables


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
    atomic_replace.replace(draft, folder / UNCERTAIN)


@dataclass(frozen=True, slots=True)
class _Names:
    bodyparts: tuple[str, ...]
    individuals: tuple[str, ...]
    scorer: str
    scorers: Mapping[str, str] = field(default_factory=dict)


_Known = tuple[Labels | None, _Names, UniqueParts]


def _of_project(folder: Path, given: _Names) -> _Known:
    """Return what a DeepLabCut project labels and names."""
    words = read_yaml(folder / DLC_CONFIG)
    labels: Labels | None = None
    files = sorted(folder.glob(f"{LABELED_DATA}/*/CollectedData*.csv"))
    written = {file.parent for file in files}
    tables = sorted(folder.glob(f"{LABELED_DATA}/*/CollectedData*.h5"))
    files += [table for table in tables if table.parent not in written]
    if any(_is_labelled(rows) for rows in map(read_rows, files)):
        labels = open_project(folder, folder, several=True).labels
    bodyparts = body_parts(folder / DLC_CONFIG, words)
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
    found: dict[str, set[str]] = {}
    for table in [*files, *tables]:
        video = table.parent.relative_to(folder).as_posix()
        found.setdefault(video, set()).add(table.stem.removeprefix(f"{TABLE}_"))
    others = {
        video: own.pop()
        for video, own in found.items()
        if scorer not in own and len(own) == 1
    }
    return labels, _Names(tuple(bodyparts), individuals, scorer, others), unique


def _of_folder(folder: Path, given: _Names) -> _Known:
    """Return what the table of a folder labels and names; a new one what is `given`."""
    if not (folder / FILE).exists():
        return None, given, UniqueParts()
    rows = read_rows(folder / FILE)
    unique = _unique([folder / FILE])
    if len(rows) <= _header_rows(rows):  # all of them were taken back
        own = _header_names(folder / FILE, rows)
        names = _Names(own.bodyparts, own.individuals, given.scorer)
        return None, names, unique
    labels = read_labels(folder / FILE, with_images=False, several=True)
    scorer = next((cell for cell in rows[0][1:] if cell), given.scorer)
    parts = labels.skeleton.bodyparts
    return labels, _Names(parts, labels.individuals, scorer), unique


def _waiting_names(folder: Path, names: _Names, given: tuple[str, ...]) -> _Names:
    """Return the names of labels, and after them those of a person's points.

    Without either those `given`, else a network's.
    """
    own, proposed = folder / UNFINISHED, folder / PROPOSALS
    if own.is_file():
        waiting = _header_names(own, read_rows(own))
    elif not names.bodyparts and not given and proposed.is_file():
        waiting = _header_names(proposed, read_rows(proposed))
    else:
        return replace(names, bodyparts=names.bodyparts or given)
    bodyparts = tuple(dict.fromkeys([*names.bodyparts, *waiting.bodyparts]))
    individuals = names.individuals or waiting.individuals
    return replace(names, bodyparts=bodyparts or given, individuals=individuals)


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of header rows of a table."""
    return 3 + (len(rows) > 1 and rows[1][0] == "individuals")


def _is_labelled(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table has a row with a point, or a row but no names."""
    count = _header_rows(rows)
    if len(rows) <= count:
        return False
    first = next((place for place, name in enumerate(rows[1]) if place and name), 0)
    return any(has_points(row[first:]) for row in rows[count:])


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


def _take_waiting(book: LabelBook, file: Path) -> set[int]:
    """Take over the points of images that are not accepted; a person's come first.

    Returns the images.
    """
    taken: set[int] = set()
    if not file.is_file():
        return taken
    rows = read_rows(file)
    if len(rows) <= _header_rows(rows):
        return taken
    waiting = read_labels(file, with_images=False, several=True)
    numbers = {name: number for number, name in enumerate(book.names)}
    unfinished = book.unfinished
    animals = max(book.animals, waiting.animals)
    points, known = arranged(waiting, book.bodyparts, book.individuals, animals)
    for name, own, told in zip(waiting.names, points, known, strict=True):
        number = numbers.get(name)
        if number is None or book.done[number]:
            continue
        taken.add(number)
        book.proposed[number] = file.name == PROPOSALS
        if not unfinished[number]:
            there = np.isfinite(own[: book.points.shape[1]])
            book.points[number][there] = own[: book.points.shape[1]][there]
            book.known[number] = told[: book.points.shape[1]]
    return taken
