"""Say how far a network's points are from labels, per set and body part.

    python utils/EvaluateNetwork.py --model runs/one
    python utils/EvaluateNetwork.py --model openfield --data labels/ --csv errors.csv

Without `--data`, the labels that the network was trained with are looked at; each picture
belongs to the set (train, validation, test) that training put it in.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import csv
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import DeepLabStreamError
from pose.opening import find_model, open_estimator
from pose.runtimes import RUNTIMES
from training.labels import Labels, LabelsError
from training.lightning_pose import read_pose_project
from training.predict import predict_pictures
from training.projects import open_project
from training.tables import PREDICTIONS, read_sets

COLUMNS = ("set", "bodypart", "labels", "median_px", "mean_px", "p95_px", "within")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the errors; return 0, or 1 after a sentence that says why not."""
    arguments = _parser().parse_args(argv)
    try:
        _evaluate(arguments)
    except DeepLabStreamError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{arguments.csv} can't be written: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.evaluate import reliability, share_within

    folder = find_model(arguments.model)
    labels = (
        open_project(arguments.data, folder / "labels").labels
        if arguments.data
        else _own_labels(folder)
    )
    estimator = open_estimator(folder, arguments.device, arguments.threads)
    found = predict_pictures(estimator, labels.images, labels.names)
    distance = found.distance(labels)
    known = read_sets(folder / PREDICTIONS) if not arguments.data else {}
    sets = np.array([known.get(name, "all") for name in found.names])
    rows: list[tuple[object, ...]] = []
    for name in sorted(set(sets)):
        own = distance[sets == name]
        for part, away in zip(found.bodyparts, own.T, strict=True):
            rows.append((name, part, *_figures(away, arguments.within)))
        rows.append((name, "together", *_figures(own, arguments.within)))
    print("  ".join(f"{column:>10}" for column in COLUMNS))
    for row in rows:
        print("  ".join(f"{_short(cell):>10}" for cell in row))
    print(f"within: share of labelled points within {arguments.within:g} px")
    out = np.isin(sets, ["validation", "test", "all"])
    sure = reliability(distance[out], found.confidence[out])
    print(
        f"calibration error of the confidence {sure.error():.3f} (a point is right within "
        f"{sure.radius_px:.1f} px), {share_within(distance[out], sure.radius_px):.1%} right"
    )
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])


def _own_labels(folder: Path) -> Labels:
    """Return the labels that a run's `config.yaml` names."""
    file = folder / "config.yaml"
    if not file.is_file():
        raise LabelsError([f"{folder} does not tell its labels; give --data"])
    return read_pose_project(file).labels()


def _figures(away: NDArray[np.float32], within: float) -> tuple[object, ...]:
    from training.evaluate import share_within

    there = away[np.isfinite(away)]
    if not there.size:
        return 0, np.nan, np.nan, np.nan, np.nan
    median, p95 = np.percentile(there, [50, 95])
    mean = float(there.mean())
    return there.size, float(median), mean, float(p95), share_within(there, within)


def _short(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="EvaluateNetwork", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", required=True, help="model folder, or one in models/")
    add("--data", type=Path, help="labelled frames; default: those it learned from")
    add("--within", type=float, default=5.0, help="px that count as right (PCK)")
    add("--csv", type=Path, help="write the table too")
    add("--device", choices=("auto", *RUNTIMES), default="auto")
    add("--threads", type=int, default=0, help="of the processor; 0: one per core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
