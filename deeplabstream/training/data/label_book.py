"""Label book: manual labels of a folder of images, edited, and saved after every change."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.exclusive_writing import WINDOW_PATIENCE_S, exclusive
from deeplabstream.training.data.label_files import (
    UniqueParts,
    with_visibility,
    write_dlc_video,
    write_individuals,
    write_labels,
)
from deeplabstream.training.data.label_folder import (
    EDGES_FILE,
    FILE,
    PROPOSALS,
    UNFINISHED,
    LabelFolder,
    read_label_folder,
    read_tables,
)
from deeplabstream.training.data.labels import SINGLE, LabelsError
from deeplabstream.training.data.projects import DLC_CONFIG


def open_book(
    folder: Path,
    bodyparts: Sequence[str] = (),
    scorer: str = "me",
    individuals: Sequence[str] = (),
) -> "LabelBook":
    """Return the label book of a folder; arguments and errors as `read_label_folder`."""
    content = read_label_folder(folder, bodyparts, scorer, individuals)
    values = {item.name: getattr(content, item.name) for item in fields(content)}
    return LabelBook(**values)


@dataclass(eq=False)
class LabelBook(LabelFolder):
    """A folder with `labeled-data/VIDEO/*.png` and its labels, which are edited here.

    They are in one `CollectedData.csv`, as Lightning Pose has it; in a DeepLabCut project
    in a CSV and an HDF5 in the folder of each video, where an image without any point
    counts as not labelled. `open_project` reads both.

    Every change is saved at once. No label is lost: what can't be written is kept and
    written with the next change (`fault`), and what another program has written meanwhile
    is merged before (`_merge`).
    """

    fault: str = ""
    """Why the last change could not be saved; empty: all is saved."""
    unsaved: set[int] = field(default_factory=set)
    """Labelled images whose tables could not be written."""
    changed: set[int] = field(default_factory=set)
    """Images that a user has changed here since all was saved."""
    predicted: set[int] = field(default_factory=set)
    """Images with points that a network has proposed here."""

    def __post_init__(self) -> None:
        complete = np.isfinite(self.points).all(axis=(1, 2))
        self.copied = complete & ~self.done & ~self.proposed
        """(image,): with copied points, and so not labelled before it is accepted."""

    @property
    def new(self) -> bool:
        """Whether nothing is labelled yet: body parts and animals may still change."""
        tables = (FILE, UNFINISHED, PROPOSALS)
        written = any((self.folder / name).exists() for name in tables)
        return not (self.project or self.fault or written)

    @property
    def left(self) -> int:
        """Number of images not yet reviewed."""
        return int((~self.done).sum())

    def path(self, image: int) -> Path:
        """Return the file of an image."""
        return self.folder.joinpath(*self.names[image].split("/"))

    def frame_before(self, image: int) -> int | None:
        """Return the last frame with points before one in the same video; None: none."""
        video, _, name = self.names[image].rpartition("/")
        placed = np.asarray(np.isfinite(self.points).any(axis=(1, 2)))
        before = [
            (other, number)
            for number, path in enumerate(self.names)
            for folder, _, other in [path.rpartition("/")]
            if folder == video and other < name and placed[number]
        ]
        return max(before)[1] if before else None

    def of_animals(self, image: int) -> NDArray[np.float32]:
        """Return a view (animal, body part, 2) of the points of an image."""
        points: NDArray[np.float32] = self.points[image].reshape(self.animals, -1, 2)
        return points

    # Changes. Each is saved at once.

    def place(self, image: int, part: int, x: float, y: float) -> None:
        """Set the position of a body part, and save; with the last one it is labelled."""
        self.points[image, part] = (x, y)
        self.known[image, part] = True

        # Proposed and copied points are guesses: a user accepts them as a whole.
        complete = bool(np.isfinite(self.points[image]).all())
        to_review = self.proposed[image] | self.copied[image]
        self.done[image] |= complete and not to_review
        self._save_change(image)

    def remove(self, image: int, part: int) -> None:
        """Mark a body part as not visible, and save."""
        self.points[image, part] = np.nan
        self.known[image, part] = True
        self._save_change(image)

    def accept(self, image: int) -> None:
        """Mark an image as reviewed, and save."""
        self.done[image], self.proposed[image] = True, False
        self.copied[image] = False
        self._save_change(image)

    def swap(self, image: int, one: int, other: int) -> None:
        """Swap the points of two animals, and save."""
        points = self.of_animals(image)
        points[[one, other]] = points[[other, one]]
        known = self.known[image].reshape(self.animals, -1)
        known[[one, other]] = known[[other, one]]
        self._save_change(image)

    def copy(self, image: int, source: int) -> int:
        """Copy points of another image for body parts without a point, and save.

        An image that is not labelled yet has to be accepted then. Returns the number of
        points copied.
        """
        target, points = self.points[image], self.points[source]
        new = np.isnan(target).any(axis=1) & np.isfinite(points).all(axis=1)
        if not new.any():
            return 0
        target[new] = points[new]
        self.known[image, new] = True
        self.copied[image] |= not self.done[image] and not self.proposed[image]
        self._save_change(image)
        return int(new.sum())

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
        # Animals may have been added or removed since: rows differ in length.
        row = self.points[image]
        row[:] = np.nan
        row[: len(points)] = points[: len(row)]
        self.known[image] = True
        if known is not None:
            self.known[image, : len(known)] = known[: len(row)]

        self.done[image], self.proposed[image] = done, proposed
        self.copied[image] = copied
        # The image may leave the table of labels, which is therefore written in any case.
        self._save_change(image, was_labelled=True)

    def join(self, edges: Sequence[tuple[str, str]]) -> None:
        """Change the edges of the skeleton; OSError: they can't be written."""
        self.edges = tuple(edges)
        lines = [f"{one},{other}\n" for one, other in edges]
        (self.folder / EDGES_FILE).write_text("".join(lines), encoding="utf-8")

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

        width = len(names) * len(self.bodyparts)
        points = np.full((len(self.names), width, 2), np.nan, np.float32)
        kept = min(width, self.points.shape[1])
        points[:, :kept] = self.points[:, :kept]
        known = np.ones(points.shape[:2], np.bool_)
        known[:, :kept] = self.known[:, :kept]
        self.points, self.known, self.individuals = points, known, names

        # The columns of all rows in all tables have changed.
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
        removed = self.points[:, len(names) * len(self.bodyparts) :]
        placed = int(np.isfinite(removed).any(axis=(1, 2)).sum())
        if placed:
            raise LabelsError(
                [
                    f"{self.individuals[-1]} has points in {placed} "
                    f"{'frame' if placed == 1 else 'frames'}: remove them first, then "
                    "the animal"
                ]
            )

    # Saving.

    def _save_change(self, image: int, *, was_labelled: bool = False) -> None:
        """Save; what can't be saved is kept, and saved with the next change."""
        self.changed.add(image)
        if self.proposed[image] and not was_labelled:
            self.edited.add(image)
        if self.done[image] or was_labelled:
            self.unsaved.add(image)
        self.save_unsaved()

    def save_unsaved(self) -> None:
        """Write unsaved changes; those that can't be written are kept, see `fault`."""
        try:
            with self._locked(self.changed):
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

    def save(self, changed: Collection[int] | None = None) -> None:
        """Write the labels, whole or not at all; OSError: they can't be written.

        Of a DeepLabCut project only the tables of the images that were `changed`. What
        another program has written meanwhile is merged first, see `_merge`.
        DeepLabStreamError: that can't be done, or another program is writing.
        """
        with self._locked(changed):
            self._write_labelled(changed)

    def save_proposals(self) -> None:
        """Write the points of images that are not accepted; errors as above."""
        with self._locked(()):
            self._write_waiting()

    @contextmanager
    def _locked(self, changed: Collection[int] | None) -> Iterator[None]:
        """Lock the tables for the block; first merge what other programs have written.

        The lock is held for the writing only, not while the folder is open: a network
        proposes labels for the folder that the window shows. And it would not be enough:
        DeepLabCut's own window and file systems without locks heed none. So the content of
        the tables decides whether another program has written.
        """
        folders = {self.folder}
        if self.project:
            rows = range(len(self.names)) if changed is None else changed
            folders |= {self.path(row).parent for row in rows}
        with exclusive(self.folder / FILE, WINDOW_PATIENCE_S):
            if any(self.tables.get(path, {}) != read_tables(path) for path in folders):
                self._merge()
            try:
                yield
            finally:
                # Also after an error: a part of the tables may have been written.
                self.tables |= {path: read_tables(path) for path in folders}

    def _merge(self) -> None:
        """Merge what the tables now contain with what was changed here.

        ======================= ==========================================================
        image changed here      keeps its points; if it was reviewed there, it is reviewed
                                with the points of both
        image with a proposal   gets points that a user has placed there
        made here
        any other image         is as it is there
        ======================= ==========================================================

        LabelsError: body parts or animals are not the same any more.
        """
        other = open_book(self.folder, self.bodyparts, self.scorer, self.individuals)
        columns = self.bodyparts, self.individuals, self.project
        if columns != (other.bodyparts, other.individuals, other.project):
            raise LabelsError(
                [
                    f"another program has changed body parts or animals in {self.folder}. "
                    "Open the folder again, and set the last points again"
                ]
            )
        rows = {name: row for row, name in enumerate(self.names)}
        added = [row for row, name in enumerate(other.names) if name not in rows]

        # A user's points take precedence over a network's, in either folder.
        by_user = other.done | other.unfinished
        by_user[sorted(other.edited)] = True
        replaced = [
            (row, their_row)
            for their_row, row in enumerate(map(rows.get, other.names))
            if row is not None and row not in self.changed
            if by_user[their_row] or row not in self.predicted
        ]
        self._add_reviewed(other)

        # All arrays have a row for each image: points, known, done, proposed, copied.
        here = [row for row, _ in replaced]
        replacing = [their_row for _, their_row in replaced]
        for name, values in vars(self).items():
            if isinstance(values, np.ndarray):
                theirs = getattr(other, name)
                values[here] = theirs[replacing]
                setattr(self, name, np.concatenate([values, theirs[added]]))

        replaced += [(len(self.names) + n, row) for n, row in enumerate(added)]
        self.names += [other.names[row] for row in added]
        self.edited -= {row for row, theirs in replaced if theirs not in other.edited}
        self.edited |= {row for row, theirs in replaced if theirs in other.edited}
        self.scorer, self.scorers = other.scorer, other.scorers
        self.unique, self.tables = other.unique, other.tables

    def _add_reviewed(self, other: "LabelBook") -> None:
        """Complete images that were begun here and reviewed by another program."""
        reviewed = {
            other.names[row]: row for row in np.flatnonzero(other.done).tolist()
        }
        for row in sorted(self.changed - self.unsaved):
            if (their_row := reviewed.get(self.names[row])) is None:
                continue
            lacking = np.isnan(self.points[row]).any(axis=1)
            self.points[row][lacking] = other.points[their_row][lacking]
            self.known[row][lacking] = other.known[their_row][lacking]
            self.done[row], self.proposed[row] = True, False
            self.unsaved.add(row)

    def _write_labelled(self, changed: Collection[int] | None) -> None:
        """Write the tables of labels; of a project those of the `changed` images."""
        # Rows of the table keep their order, so that its versions can be compared; new
        # ones follow in the order of recording.
        done = np.flatnonzero(self.done).tolist()
        order = [row for row in done if row < self.first_new]
        new = [row for row in done if row >= self.first_new]
        order += sorted(new, key=self.names.__getitem__)
        if not self.project:
            self._write(self.folder / FILE, order)
            return

        videos = [name.rpartition("/")[0] for name in self.names]
        rows = range(len(videos)) if changed is None else changed
        for video in {videos[row] for row in rows}:
            of_video = [row for row in order if videos[row] == video]
            write_dlc_video(
                self.folder.joinpath(*video.split("/")),
                self.scorers.get(video, self.scorer),
                self.bodyparts,
                [self.names[row] for row in of_video],
                self.points[of_video],
                self.individuals,
                self.unique,
            )

    def _write_waiting(self) -> None:
        """Write the tables of images that are not accepted; remove empty ones."""
        proposed, unfinished = self.proposed & ~self.done, self.unfinished
        # In both tables, so that the next reading detects that a user has edited the
        # proposal.
        edited = sorted(self.edited)
        unfinished[edited] |= proposed[edited]

        for name, chosen in {UNFINISHED: unfinished, PROPOSALS: proposed}.items():
            if chosen.any():
                self._write(self.folder / name, np.flatnonzero(chosen).tolist())
            else:
                (self.folder / name).unlink(missing_ok=True)

    def _write(self, file: Path, order: Sequence[int]) -> None:
        names = [self.names[row] for row in order]
        points, known = self.points[list(order)], self.known[list(order)]
        unique = self.unique if file.name == FILE else UniqueParts()
        # The column `visible` would not fit beside points of no animal.
        if not known.all() and not unique.bodyparts:
            points = with_visibility(points, known)
        write_labels(
            file, self.scorer, self.bodyparts, names, points,
            individuals=self.individuals, unique=unique,
        )  # fmt: skip
