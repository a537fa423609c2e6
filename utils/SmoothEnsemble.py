"""Smooth videos with an ensemble of networks: where they disagree, the other frames decide.

    python utils/TrainNetwork.py --data labels --output runs/many --seeds 0,1,2
    python utils/SmoothEnsemble.py mouse.mp4 --model runs/many --output smoothed
    python utils/SmoothEnsemble.py mouse.mp4 --model runs/many --mirrored _top _bot

Ensemble Kalman smoothing (Biderman et al., Nature Methods 2024). Each network's poses are
written too, as `mouse.seed0.csv`, and the smoothed ones as `mouse_eks.csv`: position, mean
confidence, median and variance of the networks, and how unsure the smoother is.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np

from core.errors import DeepLabStreamError, ModelError
from offline.ensemble import (
    SmoothedPoses,
    ensemble_of,
    smooth_single,
    smooth_views,
)
from offline.files import whole_file
from offline.parallel import open_parallel
from offline.predict import Prediction, predict
from pose.estimator import PoseEstimator
from pose.model_folder import load_model_folder
from pose.opening import find_model, open_estimator
from pose.runtimes import RUNTIMES
from pose.several import members
from recording.pose_tables import WRITERS


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Smooth."""
    asked = _parser().parse_args(argv)
    folder = find_model(asked.model)
    if not members(folder):
        raise ModelError(
            f"{folder} is no ensemble: it needs two model folders in it, as "
            "TrainNetwork --seeds 0,1,2 leaves them"
        )
    if any(load_model_folder(each).animals > 1 for each in members(folder)):
        raise ModelError(
            f"{folder} tells of several animals: a video is smoothed along each one's "
            "way, and each network loses track of who is who at moments of its own; "
            "PredictVideos takes the networks' median"
        )
    networks = {
        each.name: open_parallel(
            partial(open_estimator, each, asked.runtime), asked.threads
        )
        for each in members(folder)
    }
    for video in asked.videos:
        _smooth(video, networks, asked.output or video.parent, asked.mirrored)
    return 0


def _smooth(
    video: Path,
    networks: dict[str, PoseEstimator],
    folder: Path,
    mirrored: Sequence[str],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Prediction] = []
    for name, estimator in networks.items():
        each = predict(video, estimator, name)
        with whole_file(folder / f"{video.stem}.{name}.csv") as making:
            WRITERS["csv"](each.table, making)
        found.append(each)
    names = found[0].table.skeleton.bodyparts
    points = np.stack([each.table.points[:, 0] for each in found])
    sure = np.stack([each.table.confidence[:, 0] for each in found])
    views = _views(names, mirrored)
    told: dict[str, SmoothedPoses] = {}
    places: dict[str, int] = {}
    if views:
        seen = [ensemble_of(points[:, :, own], sure[:, :, own]) for own in views]
        for own, smoothed in zip(views, smooth_views(seen), strict=True):
            for place, part in enumerate(own):
                told[names[part]], places[names[part]] = smoothed, place
    rest = [part for part, name in enumerate(names) if name not in told]
    if rest:
        smoothed = smooth_single(ensemble_of(points[:, :, rest], sure[:, :, rest]))
        for place, part in enumerate(rest):
            told[names[part]], places[names[part]] = smoothed, place
    file = folder / f"{video.stem}_eks.csv"
    with whole_file(file) as making:
        _write(making, names, told, places)
    print(file)


def _views(names: Sequence[str], mirrored: Sequence[str]) -> list[list[int]]:
    """Return for each view the places of the body parts that all views have."""
    if not mirrored:
        return []
    bare = [
        {name.removesuffix(end) for name in names if name.endswith(end)}
        for end in mirrored
    ]
    shared = sorted(set.intersection(*bare))
    if not shared:
        raise DeepLabStreamError(
            f"--mirrored {' '.join(mirrored)}: no body part has a name for each of them "
            f"({', '.join(names)})"
        )
    return [[names.index(part + end) for part in shared] for end in mirrored]


def _write(
    file: Path,
    names: Sequence[str],
    told: dict[str, SmoothedPoses],
    places: dict[str, int],
) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            ("ensemble-kalman-smoother", name, column): values
            for name in names
            for column, values in told[name].columns(places[name]).items()
        }
    )
    table.columns.names = ["scorer", "bodyparts", "coords"]
    table.to_csv(file, lineterminator="\n", float_format="%.6g")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="SmoothEnsemble",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("videos", type=Path, nargs="+")
    add("--model", required=True, help="the folder that holds the networks")
    add("--output", type=Path, metavar="FOLDER", help="default: beside each video")
    add("--mirrored", nargs="+", default=[], metavar="SUFFIX",
        help="endings of the body parts' names by view, as in _top _bot")  # fmt: skip
    add("--runtime", choices=["auto", *RUNTIMES], default="auto")
    add("--threads", type=int, default=0, help="of a network; 0: all cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
