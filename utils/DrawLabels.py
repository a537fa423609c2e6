"""PROGRAM  pictures of the simulated arena with their labels, in DeepLabCut's layout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import csv

import numpy as np
from numpy.typing import NDArray

from cameras.arena import ARENA_SKELETON, Arena
from core.frame import Image

SCORER = "arena"


def main(argv: list[str] | None = None) -> int:
    """Write `CollectedData.csv` and `labeled-data/arena/img0000.png` and so on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write; made if missing")
    parser.add_argument("--frames", type=int, default=600, help="pictures to draw")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--seed", type=int, default=100, help="first of the walks")
    parser.add_argument("--walks", type=int, default=40, help="different walks")
    parser.add_argument("--grey", action="store_true", help="grey pictures")
    args = parser.parse_args(argv)
    if args.frames < 1 or args.walks < 1 or args.width < 64 or args.height < 64:
        parser.error("frames and walks must be 1 or more, width and height 64 or more")
    shape = (args.height, args.width) if args.grey else (args.height, args.width, 3)
    draw(args.folder, shape, args.frames, args.walks, args.seed)
    print(f"{args.frames} pictures and their labels are in {args.folder}")
    return 0


def draw(
    folder: Path, shape: tuple[int, ...], frames: int, walks: int, seed: int
) -> None:
    """Draw `frames` pictures of shape `shape`, as many of each of `walks` walks."""
    import cv2

    random = np.random.default_rng(seed)
    pictures = folder / "labeled-data" / "arena"
    pictures.mkdir(parents=True, exist_ok=True)
    image: Image = np.empty(shape, np.uint8)
    rows = []
    for number in range(frames):
        walk, place = divmod(number * walks, frames)
        if number == 0 or walk != (number - 1) * walks // frames:
            noise = float(random.uniform(0.5, 5))
            arena = Arena(shape, seed + walk, shelter=walk % 4 != 3, noise=noise)
        time_s = arena.walk.lap_s * (place + random.uniform(0, walks)) / frames
        arena.draw(image, time_s, number)
        name = f"img{number:04}.png"
        _, data = cv2.imencode(".png", _lit(image, random))
        (pictures / name).write_bytes(data.tobytes())
        cells = [f"{n:.3f}" if np.isfinite(n) else "" for n in arena.truth(time_s).flat]
        rows.append([f"labeled-data/arena/{name}", *cells])
    names = ARENA_SKELETON.bodyparts
    with (folder / "CollectedData.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["scorer", *[SCORER] * (2 * len(names))])
        table.writerow(["bodyparts", *[name for name in names for _ in "xy"]])
        table.writerow(["coords", *["x", "y"] * len(names)])
        table.writerows(rows)


def _lit(image: Image, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture in another light."""
    gain, lift = random.uniform(0.6, 1.25), random.uniform(-12, 18)
    return np.clip(np.round(image * gain + lift), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
