"""PROGRAM  images of the simulated arena with their labels, in DeepLabCut's format."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.simulation.arena import ARENA_SKELETON, MOST_ANIMALS, Arena
from deeplabstream.core.frame import Image
from deeplabstream.files.overwriting import check_new
from deeplabstream.pose.tracking.pose_matching import nearest_px
from deeplabstream.training.data.label_files import write_labels

SCORER = "arena"
TRIED = 10
"""Moments of which the one is drawn at which animals are nearest to each other."""


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Write `CollectedData.csv` and `labeled-data/arena/img0000.png` and so on."""
    parser = ProgramParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder; created if missing")
    parser.add_argument("--frames", type=int, default=600, help="number of images")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--seed", type=int, default=100, help="seed of the first walk")
    parser.add_argument(
        "--walks", type=int, default=40, help="number of different walks"
    )
    parser.add_argument("--grey", action="store_true", help="grey images")
    parser.add_argument(
        "--animals", type=int, nargs="+", default=[1], choices=range(1, MOST_ANIMALS + 1),
        help="mice per image; with several numbers, the walks use them in turn",
    )  # fmt: skip
    parser.add_argument(
        "--coats",
        action="store_true",
        help="every second walk: each mouse has a different coat",
    )
    args = parser.parse_args(argv)
    if args.frames < 1 or args.walks < 1 or args.width < 64 or args.height < 64:
        parser.error("frames and walks must be 1 or more, width and height 64 or more")
    check_new(args.folder)
    shape = (args.height, args.width) if args.grey else (args.height, args.width, 3)
    draw(
        args.folder, shape, args.frames, args.walks, args.seed, args.animals, args.coats
    )
    print(f"{args.frames} images and their labels are in {args.folder}")
    return 0


def draw(
    folder: Path,
    shape: tuple[int, ...],
    frames: int,
    walks: int,
    seed: int,
    animals: Sequence[int] = (1,),
    coats: bool = False,
) -> None:
    """Draw `frames` images of shape `shape`, as many of each of `walks` walks.

    Of several animals every other image shows the moment, of ten, at which two are
    nearest to each other; a body part that another animal lies on is not labelled.
    """
    import cv2

    random = np.random.default_rng(seed)
    images = folder / "labeled-data" / "arena"
    images.mkdir(parents=True, exist_ok=True)
    image: Image = np.empty(shape, np.uint8)
    parts, names = ARENA_SKELETON.bodyparts, []
    points = np.full((frames, max(animals) * len(parts), 2), np.nan)
    for number in range(frames):
        walk, place = divmod(number * walks, frames)
        if number == 0 or walk != (number - 1) * walks // frames:
            noise = float(random.uniform(0.5, 5))
            count = animals[walk % len(animals)]
            alike = not (coats and walk // len(animals) % 2)
            arena = Arena(
                shape, seed + walk, walk % 4 != 3, noise, animals=count, alike=alike
            )
        time_s = arena.walk.lap_s * (place + random.uniform(0, walks)) / frames
        if count > 1 and number % 2:
            times = time_s + random.uniform(0, arena.walk.lap_s, TRIED)
            time_s = min(times.tolist(), key=lambda s: nearest_px(arena.truth(s)))
        arena.draw(image, time_s, number)
        name = f"img{number:04}.png"
        _, data = cv2.imencode(".png", _lit(image, random))
        (images / name).write_bytes(data.tobytes())
        truth = arena.truth(time_s)
        truth[arena.covered(time_s)] = np.nan
        names.append(f"labeled-data/arena/{name}")
        points[number, : truth.shape[0] * truth.shape[1]] = truth.reshape(-1, 2)
    mice = [f"mouse{n}" for n in range(1, max(animals) + 1)] if max(animals) > 1 else []
    write_labels(
        folder / "CollectedData.csv", SCORER, parts, names, points,
        individuals=mice, digits=3,
    )  # fmt: skip


def _lit(image: Image, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image in another light."""
    gain, lift = random.uniform(0.6, 1.25), random.uniform(-12, 18)
    return np.clip(np.round(image * gain + lift), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
