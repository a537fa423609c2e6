"""Measure how well a network finds several simulated animals, alike or not, apart or crossing.

    python utils/CheckAnimals.py --model arena_animals
    python utils/CheckAnimals.py --model models/mine --frames 100 --sheet found.png

By default, `utils/DrawLabels.py` uses other walks than this program. An animal counts as found
if the mean error of its points is below a quarter of its length. Animals with fewer than two
visible body parts are not counted. *Crossing*: some body parts of two animals are closer than
half a length.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.simulation.arena import ARENA_SKELETON, MOST_ANIMALS, Arena
from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.tracking.pose_matching import nearest_px
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES

if TYPE_CHECKING:
    from deeplabstream.training.evaluation.animal_matching import Matched

SEED = 7000
"""Of the first walk; those drawn for training begin at 100."""
LENGTH_PX = 97
"""Of a mouse, in an image of 640x480."""
SHAPE = (480, 640, 3)
PER_WALK = 20
"""Images of each walk."""
ACROSS = 3
"""Images beside each other on the sheet."""
HEADER = (
    f"{'animals':>8}{'coats':>7}{'':>10}{'images':>9}{'there':>7}{'recall':>8}"
    f"{'precision':>10}{'median':>8}{'95 %':>7}  px"
)


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    options = _parser().parse_args(argv)
    check_free(
        [file for file in (options.json, options.sheet) if file], options.overwrite
    )
    _check(options)
    return 0


def _check(options: argparse.Namespace) -> None:
    estimator = open_estimator(options.model, options.device, options.threads)
    if estimator.skeleton.bodyparts != ARENA_SKELETON.bodyparts:
        raise ModelError(
            f"simulated animals have {', '.join(ARENA_SKELETON.bodyparts)}, but "
            f"the network has {', '.join(estimator.skeleton.bodyparts)}"
        )
    rows: list[dict[str, object]] = []
    sheet: list[Image] = []
    print(HEADER)
    for animals in options.animals:
        for alike in (True, False) if animals > 1 else (True,):
            drawn = _drawn(animals, alike, options.frames, options.seed)
            images, truth = drawn
            points, sure = _found(estimator, images, animals)
            near = np.array([nearest_px(own) for own in truth]) < LENGTH_PX / 2
            for what, chosen in (("", np.ones_like(near)), ("crossing", near)):
                if what and animals == 1:
                    continue
                row = _row(
                    truth[chosen], points[chosen], sure[chosen], estimator.threshold
                )
                row = {"animals": animals, "coats": not alike, "only": what, **row}
                rows.append(row)
                print(_line(row))
            shown = int(np.argmin([nearest_px(own) for own in truth]))
            sheet.append(_marked(images[shown], points[shown], sure[shown], estimator))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if options.sheet:
        import cv2

        small = [np.asarray(cv2.resize(each, (480, 360))) for each in sheet]
        small += [np.zeros_like(small[0])] * (-len(small) % ACROSS)
        lines = [np.hstack(small[i : i + ACROSS]) for i in range(0, len(small), ACROSS)]
        # imwrite can't make files with letters beyond ASCII in their paths on Windows
        _, coded = cv2.imencode(options.sheet.suffix or ".png", np.vstack(lines))
        options.sheet.write_bytes(coded.tobytes())
        print(f"{options.sheet}: for each row, the frame with the closest animals")


def _drawn(
    animals: int, alike: bool, frames: int, seed: int
) -> tuple[list[Image], NDArray[np.float32]]:
    """Return images, and where the animals are: (image, animal, 4, 2), px."""
    rng = np.random.default_rng((seed, animals, alike))
    images, truth = [], []
    for number in range(frames):
        if number % PER_WALK == 0:
            walk = number // PER_WALK
            arena = Arena(
                SHAPE, seed + walk, walk % 4 != 3, animals=animals, alike=alike
            )
        time_s = float(rng.uniform(0, arena.walk.lap_s))
        image: Image = np.empty(SHAPE, np.uint8)
        arena.draw(image, time_s, number)
        points = arena.truth(time_s)
        points[arena.covered(time_s)] = np.nan
        images.append(image)
        truth.append(points)
    return images, np.stack(truth)


def _found(
    estimator: PoseEstimator, images: list[Image], animals: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return points (image, animal, 4, 2) and confidences, all that are told."""
    poses = [estimator.estimate([image])[0] for image in images]
    if len(poses[0].points) < animals:
        raise ModelError(
            f"the network finds {len(poses[0].points)} animals, not {animals}: "
            "set --animals"
        )
    return (
        np.stack([pose.points for pose in poses]),
        np.stack([pose.confidence for pose in poses]),
    )


def _row(
    truth: NDArray[np.float32],
    points: NDArray[np.float32],
    sure: NDArray[np.float32],
    threshold: float,
) -> dict[str, object]:
    """Return the figures of some images."""
    from deeplabstream.training.evaluation.animal_matching import match

    if not len(truth):
        return {"pictures": 0}
    room = points.shape[1] - truth.shape[1]
    padded = np.pad(truth, ((0, 0), (0, room), (0, 0), (0, 0)), constant_values=np.nan)
    found: Matched = match(points, sure, padded, threshold)
    away = found.distance[found.confidence >= threshold]
    away = away[np.isfinite(away)]
    median, p95 = np.percentile(away, [50, 95]) if len(away) else (np.nan, np.nan)
    return {
        "pictures": len(truth),
        "there": int(found.counted.labelled.sum()),
        "recall": found.counted.recall,
        "precision": found.counted.precision,
        "median_px": float(median),
        "p95_px": float(p95),
    }


def _line(row: dict[str, object]) -> str:
    start = f"{row['animals']:>8}{'yes' if row['coats'] else 'no':>7}{row['only']:>10}"
    start += f"{row['pictures']:>9}"
    if not row["pictures"]:
        return start
    return (
        f"{start}{row['there']:>7}{row['recall']:>8.1%}{row['precision']:>10.1%}"
        f"{row['median_px']:>8.1f}{row['p95_px']:>7.1f}"
    )


def _marked(
    image: Image,
    points: NDArray[np.float32],
    sure: NDArray[np.float32],
    estimator: PoseEstimator,
) -> Image:
    """Return the image with what was found drawn on it, each animal in a colour."""
    import cv2

    out = image.copy()
    skeleton = estimator.skeleton
    colours = ((60, 200, 60), (60, 60, 240), (240, 160, 40), (40, 210, 240))
    for animal, (own, confidence) in enumerate(zip(points, sure, strict=True)):
        colour = colours[animal % len(colours)]
        seen = [
            (round(float(x)), round(float(y))) if c >= estimator.threshold else None
            for (x, y), c in zip(own, confidence, strict=True)
        ]
        for edge in skeleton.edges:
            a, b = (seen[place] for place in skeleton.indices(edge))
            if a and b:
                cv2.line(out, a, b, colour, 2, cv2.LINE_AA)
        for place in seen:
            if place:
                cv2.circle(out, place, 5, colour, -1, cv2.LINE_AA)
    return out


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="CheckAnimals", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", default="arena_animals", help="model folder, or its name in models/")
    add("--animals", type=int, nargs="+", default=list(range(1, MOST_ANIMALS + 1)),
        choices=range(1, MOST_ANIMALS + 1), help="numbers of animals in a frame")  # fmt: skip
    add("--frames", type=at_least(1), default=200, help="frames of each kind")
    add("--seed", type=int, default=SEED, help="seed of the first walk")
    add("--json", type=Path, help="file for the rows")
    add("--sheet", type=Path, metavar="FILE.png", help="image file for some results")
    add_overwrite(parser)
    add("--device", choices=("auto", *RUNTIMES), default="cpu")
    add(
        "--threads",
        type=at_least(0),
        default=0,
        help="CPU threads; 0: one per core",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
