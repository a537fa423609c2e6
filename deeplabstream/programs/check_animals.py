"""Measure how well a network finds several simulated animals, alike or not, apart or crossing.

    python utils/CheckAnimals.py --model arena_animals
    python utils/CheckAnimals.py --model models/mine --frames 100 --sheet found.png

By default, `utils/DrawLabels.py` uses other walks than this program. An animal counts as found
if the mean error of its points is below a quarter of its length. Animals with fewer than two
visible body parts are not counted. *Crossing*: some body parts of two animals are closer than
half a length.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import check_free
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.tracking.pose_matching import nearest_px
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite, runtime, threads
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.simulation.arena import ARENA_SKELETON, MOST_ANIMALS, Arena
from deeplabstream.video.image_sheet import write_sheet

SEED = 7000
"""Of the first walk; those drawn for training begin at 100."""
LENGTH_PX = 97
"""Of a mouse, in an image of 640x480."""
SHAPE = (480, 640, 3)
TILE = (480, 360)
"""Width and height of an image on the sheet."""
PER_WALK = 20
"""Images of each walk."""
SHEET_COLUMNS = 3
COLOURS = ((60, 200, 60), (60, 60, 240), (240, 160, 40), (40, 210, 240))
HEADER = (
    f"{'animals':>8}{'coats':>7}{'':>10}{'images':>9}{'there':>7}{'recall':>8}"
    f"{'precision':>10}{'median':>8}{'95 %':>7}  px"
)


@program_options
class CheckAnimals:
    """A network of several animals, and the images that it is measured on."""

    model: str = option(default="arena_animals")
    """Model folder, or its name in models/."""
    animals: tuple[Annotated[int, Field(ge=1, le=MOST_ANIMALS)], ...] = option(
        default=tuple(range(1, MOST_ANIMALS + 1)), metavar="N"
    )
    """Numbers of animals in a frame."""
    frames: int = option(default=200, ge=1)
    """Frames of each kind."""
    seed: int = option(default=SEED)
    """Seed of the first walk."""
    json: Path | None = option(default=None, metavar="FILE")
    """File for the rows."""
    sheet: Path | None = option(default=None, metavar="FILE.png")
    """Image file for some results."""
    overwrite: bool = overwrite()
    device: str = runtime(default="cpu")
    threads: int = threads()


def check_animals(options: CheckAnimals) -> int:
    """Print a table of recall, precision and errors."""
    check_free([options.json, options.sheet], options.overwrite)
    estimator = open_estimator(options.model, options.device, options.threads)
    if estimator.skeleton.bodyparts != ARENA_SKELETON.bodyparts:
        raise ModelError(
            f"simulated animals have {', '.join(ARENA_SKELETON.bodyparts)}, but "
            f"the network has {', '.join(estimator.skeleton.bodyparts)}"
        )

    rows: list[dict[str, object]] = []
    tiles: list[Image] = []
    print(HEADER)
    for animals in options.animals:
        for alike in (True, False) if animals > 1 else (True,):
            images, truth = _drawn(animals, alike, options.frames, options.seed)
            points, confidence = _predicted(estimator, images, animals)
            distances = np.array([nearest_px(positions) for positions in truth])
            for row in _rows(truth, points, confidence, estimator, distances):
                rows.append({"animals": animals, "coats": not alike, **row})
                print(_line(rows[-1]))
            closest = int(np.argmin(distances))
            image = images[closest]
            tiles.append(_tile(image, points[closest], confidence[closest], estimator))

    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if options.sheet:
        write_sheet(options.sheet, tiles, SHEET_COLUMNS)
        print(f"{options.sheet}: for each row, the frame with the closest animals")
    return 0


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
        time_s = float(rng.uniform(0, arena.lap_s))
        image: Image = np.empty(SHAPE, np.uint8)
        arena.draw(image, time_s, number)
        points = arena.truth(time_s)
        points[arena.covered(time_s)] = np.nan
        images.append(image)
        truth.append(points)
    return images, np.stack(truth)


def _predicted(
    estimator: PoseEstimator, images: list[Image], animals: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all points (image, animal, 4, 2) and confidences of the network."""
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


def _rows(
    truth: NDArray[np.float32],
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    estimator: PoseEstimator,
    distances: NDArray[np.float64],
) -> Iterator[dict[str, object]]:
    """Yield the figures of all images, then of those in which animals cross."""
    threshold = estimator.threshold
    yield {"only": "", **_figures(truth, points, confidence, threshold)}
    if truth.shape[1] > 1:
        near = distances < LENGTH_PX / 2
        figures = _figures(truth[near], points[near], confidence[near], threshold)
        yield {"only": "crossing", **figures}


def _figures(
    truth: NDArray[np.float32],
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    threshold: float,
) -> dict[str, object]:
    """Return recall, precision and errors in some images."""
    from deeplabstream.training.evaluation.animal_matching import match

    if not len(truth):
        return {"pictures": 0}
    room = points.shape[1] - truth.shape[1]
    padded = np.pad(truth, ((0, 0), (0, room), (0, 0), (0, 0)), constant_values=np.nan)
    matches = match(points, confidence, padded, threshold)
    errors = matches.distance[matches.confidence >= threshold]
    errors = errors[np.isfinite(errors)]
    median, p95 = np.percentile(errors, [50, 95]) if len(errors) else (np.nan, np.nan)
    return {
        "pictures": len(truth),
        "there": int(matches.counted.labelled.sum()),
        "recall": matches.counted.recall,
        "precision": matches.counted.precision,
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


def _tile(
    image: Image,
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    estimator: PoseEstimator,
) -> Image:
    """Return the image, smaller, with the predicted animals, each in a colour."""
    import cv2

    out = image.copy()
    visible = confidence >= estimator.threshold
    for animal, positions in enumerate(points):
        colour = COLOURS[animal % len(COLOURS)]
        places = np.nan_to_num(positions).round().astype(int).tolist()
        for edge in estimator.skeleton.edges:
            first, second = estimator.skeleton.indices(edge)
            if visible[animal, first] and visible[animal, second]:
                cv2.line(out, places[first], places[second], colour, 2, cv2.LINE_AA)
        for part in np.flatnonzero(visible[animal]):
            cv2.circle(out, places[part], 5, colour, -1, cv2.LINE_AA)
    return np.asarray(cv2.resize(out, TILE), np.uint8)


PROGRAM = Program(CheckAnimals, check_animals, __doc__, "CheckAnimals")
