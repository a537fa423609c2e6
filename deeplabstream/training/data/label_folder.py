"""Reading of a label folder: its images, labels, begun images and proposals.

`read_label_folder` reads what `LabelBook` edits and writes. A folder has these tables:

=================== ====================================================================
`CollectedData.csv` reviewed images; in a DeepLabCut project one table for each video
`unfinished.csv`    images in which a user has placed some body parts
`proposals.csv`     images with points of a network, not yet reviewed
`uncertain.csv`     images to label first, and why
=================== ====================================================================
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files import atomic_replace
from deeplabstream.files.paths import paths_below
from deeplabstream.pose.image_files import SUFFIXES
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.data.label_files import UniqueParts
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
    listed_names,
    open_project,
    read_yaml,
)

FILE = "CollectedData.csv"
PROPOSALS = "proposals.csv"
"""Points that networks found in images not yet reviewed; written like labels."""
UNFINISHED = "unfinished.csv"
"""Points that a user has placed in images that are not yet accepted.

An image in both tables has a proposal that a user has changed."""
UNCERTAIN = "uncertain.csv"
"""Images to label first, in their order, with the reason of each."""
EDGES_FILE = "bones.csv"


@dataclass(eq=False)
class LabelFolder:
    """The images of a folder `labeled-data/VIDEO/*.png`, with their labels and states.

    ```text
    without points ── network ──▶ proposed ── user changes ──▶ proposed, edited
          │                           │                             │
          └─ first body part ──▶ unfinished ─── accept ──▶ done ◀───┘
    ```

    With its last body part an unfinished image is done; a proposed one is to be accepted.
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
    """(image, body part); False: the table marks it as unknown."""
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
    """Number of images that the table of labels contains; they come first, in its order."""
    individuals: tuple[str, ...] = ()
    """Names of the animals; empty: one animal without a name."""
    unique: UniqueParts = field(default_factory=UniqueParts)
    """DeepLabCut's points that belong to no animal: written back as they were read."""
    scorers: Mapping[str, str] = field(default_factory=dict)
    """By folder of a DeepLabCut project's video: the scorer of its table, if another."""
    edited: set[int] = field(default_factory=set)
    """Images in which a user has changed the proposal, which is therefore kept."""
    tables: dict[Path, dict[Path, bytes]] = field(default_factory=dict)
    """By folder, the content of each table when it was last read or written here."""

    @property
    def animals(self) -> int:
        """Largest number of animals in an image."""
        return max(1, len(self.individuals))

    @property
    def unfinished(self) -> NDArray[np.bool_]:
        """(image,): a user has placed some of its body parts and not accepted it."""
        some = np.isfinite(self.points).any(axis=(1, 2))
        return np.asarray(some & ~self.done & ~self.proposed)


def read_label_folder(
    folder: Path,
    bodyparts: Sequence[str] = (),
    scorer: str = "me",
    individuals: Sequence[str] = (),
) -> LabelFolder:
    """Read the images of a folder, their labels and their proposals.

    `bodyparts`, `scorer` and `individuals` are those of a new folder; existing tables have
    their own. LabelsError: a table has faults, or there are no body parts.
    """
    # The content of the tables is kept from before they are parsed: a change by another
    # program in between is then noticed at the next saving.
    videos = (folder / LABELED_DATA).glob("*")
    tables = {place: read_tables(place) for place in (folder, *videos)}

    project = (folder / DLC_CONFIG).is_file() and not (folder / FILE).exists()
    given = _Names((), tuple(individuals), scorer)
    labels, names, unique = (_of_project if project else _of_folder)(folder, given)
    if not (project and names.bodyparts):
        # A project has the body parts of its config.yaml, whatever other tables name.
        names = _waiting_names(folder, names, tuple(bodyparts))
    files = _image_files(folder)
    _check_labels(folder, labels, names, files)

    # Labelled images first, in the order of their table; then uncertain ones; then others.
    reasons = read_uncertain(folder)
    rank = {name: number for number, name in enumerate(reasons)}
    files.sort(key=lambda name: (rank.get(name, len(rank)), name))
    images = list(dict.fromkeys([*(labels.names if labels else ()), *files]))

    animals = max(1, len(names.individuals))
    shape = len(images), animals * len(names.bodyparts), 2
    content = LabelFolder(
        folder,
        names.scorer,
        names.bodyparts,
        images,
        points=np.full(shape, np.nan, np.float32),
        known=np.ones(shape[:2], np.bool_),
        done=np.zeros(len(images), np.bool_),
        proposed=np.zeros(len(images), np.bool_),
        project=project,
        edges=_read_edges(folder, labels, names.bodyparts),
        reasons=reasons,
        first_new=len(labels.names) if labels else 0,
        individuals=names.individuals,
        unique=unique,
        scorers=names.scorers,
        tables=tables,
    )
    if labels is not None:
        _add_labelled(content, labels)
    begun = _add_waiting(content, folder / UNFINISHED)
    content.edited = begun & _add_waiting(content, folder / PROPOSALS)
    return content


def _image_files(folder: Path) -> list[str]:
    """Return the images below `labeled-data`, relative to the folder, with slashes."""
    below = (file.relative_to(folder) for file in paths_below(folder / LABELED_DATA))
    return sorted(
        name.as_posix()
        for name in below
        if name.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in name.parts)  # skip drafts
    )


def _check_labels(
    folder: Path, labels: Labels | None, names: "_Names", files: Sequence[str]
) -> None:
    """Raise LabelsError where the folder holds SLEAP's labels, or no body parts."""
    packages = sorted(folder.glob("*.slp"))
    if labels is None and not files and packages:
        raise LabelsError(
            [
                f"{folder} holds labels of SLEAP: convert them with python "
                f"utils/ConvertProject.py {quoted(packages[0])} --output NEW_FOLDER, or drop the "
                "file on the window"
            ]
        )
    if not names.bodyparts:
        raise LabelsError([f"{folder} has no {FILE} yet: name its body parts"])


def _read_edges(
    folder: Path, labels: Labels | None, bodyparts: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return the edges that a user has drawn, else those of the labels."""
    if (folder / EDGES_FILE).is_file():
        pairs = [tuple(row) for row in read_rows(folder / EDGES_FILE)]
    else:
        pairs = list(labels.skeleton.edges) if labels else []
    return tuple(
        (pair[0], pair[1])
        for pair in pairs
        if len(pair) == 2 and set(pair) <= set(bodyparts)
    )


def _add_labelled(content: LabelFolder, labels: Labels) -> None:
    """Add the points of the tables of labels; their images are reviewed."""
    points, known = arranged(
        labels, content.bodyparts, content.individuals, content.animals
    )
    count = len(labels.names)
    content.points[:count], content.known[:count] = points, known

    # DeepLabCut also writes a row for an image that was never opened; rows of this
    # program are reviewed.
    unique = [any(content.unique.row(name)) for name in labels.names]
    placed = np.isfinite(labels.points).any(axis=(1, 2)) | np.array(unique, np.bool_)
    content.done[:count] = placed if content.project else True


def _add_waiting(content: LabelFolder, file: Path) -> set[int]:
    """Add the points of a table of unaccepted images; return these images.

    Points that a user has placed stay: `unfinished.csv` is read before `proposals.csv`.
    """
    added: set[int] = set()
    if not file.is_file():
        return added
    rows = read_rows(file)
    if len(rows) <= _header_rows(rows):
        return added

    waiting = read_labels(file, with_images=False, several=True)
    numbers = {name: number for number, name in enumerate(content.names)}
    unfinished = content.unfinished
    width = content.points.shape[1]
    animals = max(content.animals, waiting.animals)
    points, known = arranged(waiting, content.bodyparts, content.individuals, animals)
    for name, row, row_known in zip(waiting.names, points, known, strict=True):
        number = numbers.get(name)
        if number is None or content.done[number]:
            continue
        added.add(number)
        content.proposed[number] = file.name == PROPOSALS
        if not unfinished[number]:
            placed = np.isfinite(row[:width])
            content.points[number][placed] = row[:width][placed]
            content.known[number] = row_known[:width]
    return added


def read_tables(folder: Path) -> dict[Path, bytes]:
    """Return the content of each table of labels in a folder."""
    tables: dict[Path, bytes] = {}
    for pattern in ("CollectedData*.csv", UNFINISHED, PROPOSALS):
        for file in folder.glob(pattern):
            with suppress(
                OSError
            ):  # deleted in the meantime, or `read_rows` reports the error
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
    first = dict(reversed(listed))  # for an image with two reasons, the newer one
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
    """Return the labels and names of a DeepLabCut project; the scorer may be `given`."""
    config = read_yaml(folder / DLC_CONFIG)

    # A video may have only an HDF5 table; where both exist, the CSV is the one that
    # users edit.
    files = sorted(folder.glob(f"{LABELED_DATA}/*/CollectedData*.csv"))
    written = {file.parent for file in files}
    tables = sorted(folder.glob(f"{LABELED_DATA}/*/CollectedData*.h5"))
    files += [table for table in tables if table.parent not in written]
    labels: Labels | None = None
    if any(_is_labelled(rows) for rows in map(read_rows, files)):
        labels = open_project(folder, folder, several=True).labels

    bodyparts = body_parts(folder / DLC_CONFIG, config)
    individuals: tuple[str, ...] = ()
    unique = UniqueParts()
    if config.get("multianimalproject"):
        individuals = listed_names(config, "individuals")
        if labels is not None and labels.animals > len(individuals):
            individuals = tuple(dict.fromkeys([*individuals, *labels.individuals]))
        if not individuals:
            raise LabelsError([f"{folder / DLC_CONFIG} names no individuals"])
        unique = _unique(files, listed_names(config, "uniquebodyparts"))
    elif labels is not None and labels.individuals:
        individuals = labels.individuals

    # DeepLabCut reads only the table of the scorer in its name: it must be written there.
    scorer = str(config.get("scorer") or given.scorer)
    by_video: dict[str, set[str]] = {}
    for table in [*files, *tables]:
        video = table.parent.relative_to(folder).as_posix()
        by_video.setdefault(video, set()).add(table.stem.removeprefix(f"{TABLE}_"))
    others = {
        video: names.pop()
        for video, names in by_video.items()
        if scorer not in names and len(names) == 1
    }
    return labels, _Names(tuple(bodyparts), individuals, scorer, others), unique


def _of_folder(folder: Path, given: _Names) -> _Known:
    """Return labels and names of a folder's table; for a new one, those of `given`."""
    if not (folder / FILE).exists():
        return None, given, UniqueParts()
    rows = read_rows(folder / FILE)
    unique = _unique([folder / FILE])
    if len(rows) <= _header_rows(rows):  # all labels were removed
        own = _header_names(folder / FILE, rows)
        names = _Names(own.bodyparts, own.individuals, given.scorer)
        return None, names, unique
    labels = read_labels(folder / FILE, with_images=False, several=True)
    scorer = next((cell for cell in rows[0][1:] if cell), given.scorer)
    parts = labels.skeleton.bodyparts
    return labels, _Names(parts, labels.individuals, scorer), unique


def _waiting_names(folder: Path, names: _Names, given: tuple[str, ...]) -> _Names:
    """Return the names of the labels, followed by those of begun images.

    Without both: the `given` ones, else those of a network's proposals.
    """
    own, proposed = folder / UNFINISHED, folder / PROPOSALS
    if own.is_file():
        waiting = _header_names(own, read_rows(own))
    elif not names.bodyparts and not given and proposed.is_file():
        waiting = _header_names(proposed, read_rows(proposed))
    else:
        return replace(names, bodyparts=names.bodyparts or given)
    # Body parts that were removed from the labels may still have points of begun images.
    bodyparts = tuple(dict.fromkeys([*names.bodyparts, *waiting.bodyparts]))
    individuals = names.individuals or waiting.individuals
    return replace(names, bodyparts=bodyparts or given, individuals=individuals)


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of header rows of a table."""
    return 3 + (len(rows) > 1 and rows[1][0] == "individuals")


def _is_labelled(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table contains a point, or rows without names."""
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
        # x and y of each point stand side by side.
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
