"""Predicted poses: recognition of their files, which are refused where labels are needed."""

from collections.abc import Sequence
from pathlib import Path

from deeplabstream.files.hdf5 import open_hdf5
from deeplabstream.startup.arguments import quoted

_ANALYSIS_COLUMNS = {"track", "frame_idx"}
_LIKELIHOOD = "likelihood"
_HDF5, _PARQUET = (".h5", ".hdf5"), (".parquet", ".pqt")
POSE_TABLES = (".csv", *_HDF5, *_PARQUET)
"""Endings of files that may hold predicted poses."""


def is_jabs_file(file: Path) -> bool:
    """Return whether an HDF5 file has poses of JABS; ValueError, OSError: not readable."""
    with open_hdf5(file) as content:
        return "poseest" in content and "points" in content["poseest"]


def is_analysis_file(file: Path) -> bool:
    """Return whether an HDF5 file holds poses as SLEAP exports them for analysis.

    ValueError, OSError: it can't be read.
    """
    with open_hdf5(file) as content:
        return "tracks" in content and "track_names" in content


def is_analysis_csv(head: Sequence[str]) -> bool:
    """Return whether the first row of a CSV is that of SLEAP's analysis CSV."""
    return set(head) >= _ANALYSIS_COLUMNS


def prediction_file_problem(file: Path) -> str:
    """Return why a file of another layout than a table has no labels; empty: not known."""
    ending = file.suffix.lower()
    if ending in _PARQUET:
        return predictions_problem(file)
    if ending not in _HDF5:
        return ""
    try:
        if is_jabs_file(file):
            return predictions_problem(file, "JABS")
        if is_analysis_file(file):
            return predictions_problem(file, "SLEAP")
    except (OSError, ValueError):
        pass  # the reader of labels reports what is damaged
    return ""


def prediction_table_problem(file: Path, rows: Sequence[Sequence[str]]) -> str:
    """Return why a table has no labels, from its first rows; empty: it may have some."""
    if rows and is_analysis_csv(rows[0]):
        return predictions_problem(file, "SLEAP")
    if not any(_LIKELIHOOD in row for row in rows[2:4]):
        return ""

    # Predictions for labelled images name images in the first column, not frames
    first = rows[-1][0]
    if "/" in first or "." in first.removesuffix(".0"):
        return (
            f"{file} holds predicted poses in images, not labels. Name the table of their "
            "labels (CollectedData)"
        )
    return predictions_problem(file)


def predictions_problem(file: Path, program: str = "") -> str:
    """Return that a file has predicted poses of a video, and which program reads them."""
    of = f" of {program}" if program else ""
    return (
        f"{file} holds predicted poses{of}, not labels. With their video they become a run: "
        f"python utils/ImportRun.py VIDEO {quoted(file)} --to RUN"
    )
