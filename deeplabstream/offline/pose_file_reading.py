"""Pose file reading: tables of poses that this program and others write."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.delimited_text import read_delimited
from deeplabstream.files.pandas_hdf5 import LEVELS, read_hdf5_table
from deeplabstream.offline.jabs_pose_reading import read_jabs_file
from deeplabstream.offline.sleap_pose_reading import (
    read_analysis_csv,
    read_analysis_file,
    read_labels_file,
)
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.training.data.predicted_poses import (
    is_analysis_csv,
    is_analysis_file,
    is_jabs_file,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_COORDS = ("x", "y", "likelihood")
_LEVELS = (LEVELS[:1] + LEVELS[2:], LEVELS)
"""Header rows of one animal, and of several."""
_MOST_LEVELS = len(LEVELS) + 1
_MOST_FRAMES = 1_000_000
"""More are accepted if a tenth of them has a row."""
_CENTRES = "Centre points without body parts, as EthoVision exports them, are not read"
_ELSEWHERE = {
    ".nc": "movement saves its data as one by movement.io.save_poses.to_dlc_file",
    ".nwb": "sleap-io converts NWB: sleap_io.save_file(sleap_io.load_file(NWB), SLP)",
    ".json": "Labels of COCO are for TrainNetwork and ConvertProject",
    ".pickle": "DeepLabCut writes a .h5 beside it; of several animals after its "
    "convert_detections2tracklets and stitch_tracklets",
    ".txt": _CENTRES,
    ".xlsx": _CENTRES,
}
"""What to do with files of other programs, by their ending."""
_WHOLE = re.compile(r"\d+(?:\.0*)?")


def read_poses(file: Path) -> PoseTable:
    """Read a table of poses of DeepLabCut, Lightning Pose, SLEAP, JABS or this program.

    Parameters
    ----------
    file : pathlib.Path
        CSV or HDF5 of DeepLabCut or Lightning Pose, analysis HDF5 or CSV or `.slp` of
        SLEAP, a pose file of JABS, or a Parquet table. A frame that its first column (of
        DeepLabCut and Lightning Pose) or its rows (of SLEAP) leave out has no points; nor has
        an animal with all points at 0, 0.

    Returns
    -------
    PoseTable
        Its times are NaN. The confidence is 1 where the file has none, as with labels.

    Raises
    ------
    DeepLabStreamError
        The file is missing, damaged, or no table of poses.
    """
    import pandas as pd

    if not file.is_file():
        raise DeepLabStreamError(f"{file}: file not found")
    ending = file.suffix.lower()
    try:
        if ending == ".csv":
            if is_analysis_csv(_first_row(file)):
                return read_analysis_csv(file)
            table = read_dlc_csv(file)
            rows = [(str(name),) for name in table.index]
            return _deeplabcut(file, list(table.columns), rows, table.to_numpy())
        if ending == ".slp":
            return read_labels_file(file)
        if ending in (".h5", ".hdf5"):
            if is_analysis_file(file):
                return read_analysis_file(file)
            if is_jabs_file(file):
                return read_jabs_file(file)
            held = read_hdf5_table(file)
            return _deeplabcut(file, held.columns, held.rows, held.values)
        if ending in (".parquet", ".pqt"):
            return _flat(file, pd.read_parquet(file))
    except DeepLabStreamError:
        raise
    except Exception as error:  # pandas, pyarrow and tables have no common base class
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DeepLabStreamError(f"Can't read {file}: {reason}") from error
    advice = _ELSEWHERE.get(ending)
    raise DeepLabStreamError(
        f"{file} is not a table of poses: use .csv, .h5, .slp, .parquet or .pqt"
        f"{f'. {advice}' if advice else ''}"
    )


def read_dlc_csv(file: Path) -> "DataFrame":
    """Read a CSV of DeepLabCut's layout.

    Parameters
    ----------
    file : pathlib.Path
        Its cells may be separated by commas, semicolons or tabs.

    Returns
    -------
    pandas.DataFrame
        A column for each of the file's but the first, named level by level, and a row for
        each frame or image, also of one without any point. The index is the first column.

    Raises
    ------
    DeepLabStreamError
        It has other header rows, or a point is not a number.
    ValueError, OSError
        It can't be read.
    """
    import pandas as pd

    source = read_delimited(file)
    text = io.StringIO(source.text)
    head = list(islice(_header(text, source.separator), _MOST_LEVELS + 1))
    levels = next(
        (level for level in _LEVELS if _starts(head, len(level)) == level), ()
    )
    if not levels or len({len(cells) for cells, _ in head[: len(levels)]}) > 1:
        raise DeepLabStreamError(
            f"{file} does not begin with the rows scorer, bodyparts and coords, as a table of "
            "poses or labels of DeepLabCut or Lightning Pose does"
        )
    names = [*zip(*(cells for cells, _ in head[: len(levels)]), strict=True)][1:]
    # pandas writes the name of an index, if it has one, in a row of its own
    below = [cells for cells, _ in head[len(levels) :]]
    named = bool(below) and _is_name(*below[:2])
    text = source.checked()
    text.seek(head[len(levels) + named - 1][1])
    try:
        table = pd.read_csv(
            text, header=None, names=range(len(names) + 1), index_col=False,
            sep=source.separator, decimal=source.decimal, dtype={0: str},
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=range(len(names) + 1))
    table = table.dropna(how="all").set_index(0)
    table.index.name = None
    table.columns = pd.MultiIndex.from_tuples(names, names=levels)
    return table


def _first_row(file: Path) -> list[str]:
    source = read_delimited(file)
    rows = _header(io.StringIO(source.text), source.separator)
    return next(rows, ([], 0))[0]


def _header(text: io.StringIO, separator: str) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each line that is not empty, and where it ends."""
    while line := text.readline():
        if line.strip():
            cells = next(csv.reader([line], delimiter=separator))
            yield [cell.strip() for cell in cells], text.tell()


def _starts(head: Sequence[tuple[list[str], int]], count: int) -> tuple[str, ...]:
    return tuple(cells[0] for cells, _ in head[:count])


def _is_name(cells: Sequence[str], following: Sequence[str] = ("",)) -> bool:
    """Return whether a row is the name of an index: neither a frame nor an image.

    Images may be numbered, without an ending: img0001, img0002.
    """
    first = cells[0]
    if any(cells[1:]) or "." in first or _WHOLE.fullmatch(first):
        return False
    return re.sub(r"\d+", "", first) != re.sub(r"\d+", "", following[0])


def _deeplabcut(
    file: Path,
    named: Sequence[tuple[str, ...]],
    rows: Sequence[tuple[str, ...]],
    values: NDArray[Any],
) -> PoseTable:
    """Make poses of values (row, column), whose columns are named level by level."""
    frames, count = _frames(file, rows)
    columns: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    scorers = {scorer for scorer, *_, coord in named if coord in _COORDS}
    for place, (_, *animal, part, coord) in enumerate(named):
        if coord not in _COORDS:
            continue
        key = "".join(animal), part, coord
        if key in columns:
            of = f"several scorers ({', '.join(sorted(scorers))})"
            of = of if len(scorers) > 1 else f"the body part {part} twice"
            raise DeepLabStreamError(f"{file} has points of {of}: keep one")
        own = np.full(count, np.nan)
        own[frames] = _numbers(file, values[:, place], f"{part}, {coord}")
        columns[key] = own
    return _poses(file, columns, count, named[0][0] if named else "")


def _frames(
    file: Path, rows: Sequence[tuple[str, ...]]
) -> tuple[NDArray[np.int64], int]:
    """Return the frame of each row, and the number of frames.

    The first column counts frames from 0; those without a row are not analysed. Rows that
    are named otherwise, such as by images, are in their order.
    """
    counts = [len(row) == 1 and bool(_WHOLE.fullmatch(row[0].strip())) for row in rows]
    if not any(counts):
        return np.arange(len(rows)), len(rows)
    if not all(counts):
        at = counts.index(False)
        word = " ".join(rows[at]).strip()
        if word in ("", "nan"):
            raise DeepLabStreamError(
                f"{file}: row {at + 1} below the header has no frame number"
            )
        raise DeepLabStreamError(
            f"{file}: {word!r} in the first column is not the number of a frame"
        )
    frames = np.array([float(row[0]) for row in rows]).astype(np.int64)
    wrong = np.flatnonzero(np.diff(frames, prepend=-1) <= 0)
    if len(wrong):
        at = int(wrong[0])
        raise DeepLabStreamError(
            f"{file}: frame {frames[at]} stands after frame {frames[at - 1]}. The first "
            "column must count the frames of one video"
        )
    count = int(frames[-1]) + 1 if len(frames) else 0
    if count > max(_MOST_FRAMES, 10 * len(rows)):
        raise DeepLabStreamError(f"{file}: {count} is too large for a frame's number")
    return frames, count


def _numbers(file: Path, values: NDArray[Any], column: str) -> NDArray[np.float64]:
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    for cell in values:
        try:
            float(cell)
        except ValueError:
            raise DeepLabStreamError(
                f"{file}: {cell!r} in the column {column} is not a number"
            ) from None
    return values.astype(np.float64)


def _flat(file: Path, table: "DataFrame") -> PoseTable:
    columns: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    owners = {
        f"{animal}_{part}": (str(animal), str(part))
        for animal in table.attrs.get("animals", ())
        for part in table.attrs.get("bodyparts", ())
    }
    for name in table:
        part, _, coord = str(name).rpartition("_")
        coord = {"confidence": "likelihood"}.get(coord, coord)
        if part and coord in _COORDS and f"{part}_x" in table and f"{part}_y" in table:
            own = owners.get(part, ("", part))
            columns[(*own, coord)] = table[name].to_numpy(np.float64)
    return _poses(file, columns, len(table))


def _poses(
    file: Path,
    columns: dict[tuple[str, str, str], NDArray[np.float64]],
    rows: int,
    scorer: str = "",
) -> PoseTable:
    animals = list(dict.fromkeys(key[0] for key in columns))
    parts = list(dict.fromkeys(key[1] for key in columns))
    if not parts:
        raise DeepLabStreamError(f"{file} contains no poses")
    nothing = np.full(rows, np.nan)
    points = [
        [
            [columns.get((animal, part, axis), nothing) for axis in "xy"]
            for part in parts
        ]
        for animal in animals
    ]
    ones = np.ones(rows)
    sure = [
        [columns.get((animal, part, "likelihood"), ones) for part in parts]
        for animal in animals
    ]
    placed: NDArray[np.float64] = np.moveaxis(np.array(points), 3, 0)
    confidence = np.moveaxis(np.array(sure), 2, 0)

    # Some programs write 0 for all points of an animal that they did not find
    if len(parts) > 1:
        nowhere = (placed == 0).all(axis=(2, 3))
        placed[nowhere], confidence[nowhere] = np.nan, 0.0
    skeleton = Skeleton(
        tuple(parts), animals=tuple(animals) if len(animals) > 1 else ()
    )
    return pose_table(file, skeleton, placed, confidence, scorer)
