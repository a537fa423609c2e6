"""Exports and results have the identities that the user corrected; live decisions stay."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from deeplabstream.analysis.run_data import read_run
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.recording.exporters.exports import export
from deeplabstream.recording.pose_corrections import Correction, append_correction
from deeplabstream.recording.run_folder import RunFolder
from tests.recording.small_run import NAMES, made, point

Points = NDArray[np.float64]
FRAMES = 2, 3, 4, 6, 7, 8
"""The frames that were analysed."""
WHOSE = {
    "anna": (0, 0, 1, 1, 1, None),
    "bob": (1, 1, 0, 0, None, 1),
}
"""By name: whose recorded points it has on each frame after the corrections."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run whose names were switched to the end, merged, and split again."""
    path = made(tmp_path, animals=2, video=False)
    for kind, frames in (("switch", (4, 8)), ("merge", (7, 8)), ("split", (8, 8))):
        append_correction(
            path, Correction(kind=kind, camera="top", frames=frames, animals=NAMES)
        )
    return path


def corrected() -> Points:
    """Return the points (frame, animal, body part, 2) that are expected."""
    points = np.full((len(FRAMES), 2, 2, 2), np.nan)
    for animal, name in enumerate(NAMES):
        for row, (frame, whose) in enumerate(zip(FRAMES, WHOSE[name], strict=True)):
            for part in range(2):
                if whose is not None:
                    points[row, animal, part] = point(frame, whose, part)
    return points


def certain() -> Points:
    """Return those with the points below the threshold missing."""
    points = corrected()
    points[: FRAMES.index(6)] = np.nan
    return points


def of_table(file: Path) -> Points:
    table = read_poses(file)
    assert table.animals == NAMES
    points = table.points.astype(np.float64)
    seen = (table.confidence > 0).any(axis=(1, 2))
    return np.where((table.confidence > 0)[..., None], points, np.nan)[seen]


def of_parquet(file: Path) -> Points:
    table = pd.read_parquet(file)
    table = table[table["analysed"] == 1]
    assert list(table["trigger_in"]) == [True] * len(FRAMES), "decisions stay"
    names = [[f"{n}_{part}" for part in ("nose", "tail")] for n in NAMES]
    values = [[[table[f"{p}_{axis}"] for axis in "xy"] for p in of] for of in names]
    return np.moveaxis(np.array(values, np.float64), -1, 0)


def of_predecessor(file: Path) -> Points:
    table = pd.read_csv(file, sep=";", header=[0, 1, 2], index_col=0)
    values = [
        [
            [table[f"Animal{n}", part, axis] for axis in "xy"]
            for part in ("nose", "tail")
        ]
        for n in (1, 2)
    ]
    return np.moveaxis(np.array(values, np.float64), -1, 0)


def of_nwb(file: Path) -> Points:
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(file), "r") as reader:
        behaviour = reader.read().processing["behavior"]
        estimations = {
            name: it
            for name, it in behaviour.data_interfaces.items()
            if "pose_estimation_series" in it.fields
        }
        found = []
        for name in NAMES:
            (own,) = (it for key, it in estimations.items() if name in key)
            series = own.pose_estimation_series
            parts = [
                next(series[key] for key in series if part in key.lower())
                for part in ("nose", "tail")
            ]
            found.append(np.stack([np.asarray(it.data) for it in parts], axis=1))
    points = np.stack(found, axis=1).astype(np.float64)
    return points[np.isfinite(points).any(axis=(1, 2, 3))]


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("dlc-csv", of_table),
        ("dlc-h5", of_table),
        ("sleap", of_table),
        ("slp", of_table),
        ("parquet", of_parquet),
        ("predecessor-csv", of_predecessor),
        ("nwb", of_nwb),
    ],
)
def test_every_export_has_the_corrected_identities(
    run: Path, kind: str, read: Callable[[Path], Points]
) -> None:
    said: list[str] = []
    file = next(
        it for it in export(run, [kind], report=said.append) if "events" not in it.name
    )
    # DeepLabStream 1 left points below the threshold out
    whole = corrected() if kind != "predecessor-csv" else certain()
    np.testing.assert_allclose(read(file), whole, atol=1e-3)
    assert any("corrected poses, with 3 corrections" in sentence for sentence in said)


def test_results_have_the_corrected_identities_and_decisions_stay(run: Path) -> None:
    points = read_run(run).points
    seen = np.isfinite(points).any(axis=(1, 2, 3))
    rows = np.isfinite(certain()).any(axis=(1, 2, 3))
    np.testing.assert_allclose(points[seen], certain()[rows], atol=1e-3)
    for folder in (RunFolder(run), RunFolder(run, corrected=True)):
        steps = list(folder.steps("top"))
        assert [step.index for step in steps] == [*FRAMES]
        assert all(step.triggers == {"in": True} for step in steps)
