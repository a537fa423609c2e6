"""Run data made by hand, for results with known answers."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplabstream.analysis.region_list import PlacesOfRun
from deeplabstream.analysis.run_data import RunData
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.run_folder import RunFolder

GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"
PARTS = ("leftear", "rightear", "snout", "tailbase")
BODY = np.array([[0.0, -5.0], [0.0, 5.0], [10.0, 0.0], [-10.0, 0.0]])
"""The parts of an animal that heads to the right; their mean is the origin."""


def body_at(xy: ArrayLike, heading: ArrayLike) -> NDArray[np.float64]:
    """Return the points (frame, part, 2) of a stiff animal; heading in degrees clockwise."""
    angle = np.radians(np.asarray(heading, np.float64))
    turned = np.stack(
        [
            BODY[:, 0] * np.cos(angle)[:, None] - BODY[:, 1] * np.sin(angle)[:, None],
            BODY[:, 0] * np.sin(angle)[:, None] + BODY[:, 1] * np.cos(angle)[:, None],
        ],
        axis=-1,
    )
    return turned + np.asarray(xy, np.float64)[:, None]


def run_of_two_experiments(folder: Path) -> Path:
    """Return a copy of a recorded run as one of two experiments, two trials each."""
    run = Path(shutil.copytree(GOLDEN / "trial_based", folder / "twice"))
    path = run / "events.csv"
    note = "{},note,,,experiment,,,,,,,,{}\n"
    lines: list[str] = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if "trial 2: right" in line:  # stopped in its second trial
            line = note.format("9.000000", "stopped")
        if "trial 3: tone" in line:
            # a mark has the time of its frame's exposure, before the note
            lines.append(note.format("15.090000", "started"))
        for later, number in (("trial 3", "trial 1"), ("trial 4", "trial 2")):
            line = line.replace(later, number)
        lines.append(line)
    refused = note.format("29.900000", "not started: no space")
    path.write_text("".join([*lines[:-1], refused, lines[-1]]), "utf-8")
    return run


def made_run(t: ArrayLike, points: NDArray[np.float64], **more: Any) -> RunData:
    """Return run data; `points`: (frame, animal, part, 2), px."""
    t = np.asarray(t, np.float64)
    animals = tuple(f"animal{n + 1}" for n in range(points.shape[1]))
    parts = PARTS if points.shape[2] == len(PARTS) else ("body",)
    values: dict[str, Any] = {
        "folder": RunFolder(Path("made")),
        "facts": {},
        "camera": "top",
        "t": t,
        "points": points,
        "confidence": np.ones(points.shape[:3]),
        "skeleton": Skeleton(parts, (), animals if len(animals) > 1 else ()),
        "animals": animals,
        "threshold": 0.5,
        "size": (480, 640),
        "calibration": None,
        "places": PlacesOfRun(),
        "behaviours": {},
        "outputs": {},
        "triggers": {},
        "marks": (),
        "trials": (),
        "stages": {},
        "period": (float(t[0]), float(t[-1])),
        "rejected": np.zeros(points.shape[:3], np.bool_),
        "ambiguous": np.zeros(points.shape[:2], np.bool_),
    }
    return RunData(**{**values, **more})
