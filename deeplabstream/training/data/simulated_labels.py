"""Simulated labels: images of the simulated arena and the positions of its animals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.tracking.pose_matching import nearest_px
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from deeplabstream.simulation.space_arena import (
    BODY,
    VIEWS,
    BodyWalk,
    CameraPainter,
    simulated_camera,
    visible_points,
)
from deeplabstream.training.data.label_files import write_labels

SCORER = "arena"
CANDIDATES = 10
"""Number of random times; the one with the closest animals is drawn."""


def draw_labels(
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
        time_s = arena.lap_s * (place + random.uniform(0, walks)) / frames
        if count > 1 and number % 2:
            times = time_s + random.uniform(0, arena.lap_s, CANDIDATES)
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


def draw_space_labels(
    folder: Path, size: tuple[int, int], frames: int, walks: int, seed: int
) -> None:
    """Draw grey images of the arena in space, from cameras at other places than its own.

    `size` is height and width. Nose and ears that the body hides are not labelled.
    """
    import cv2

    random = np.random.default_rng(seed)
    images = folder / "labeled-data" / "arena"
    images.mkdir(parents=True, exist_ok=True)
    image: Image = np.empty(size, np.uint8)
    names, points = [], np.full((frames, len(BODY.bodyparts) * 2), np.nan)
    height, width = size
    walk_before = -1
    for number in range(frames):
        walk = number * walks // frames
        if walk != walk_before:
            walk_before, body_walk = walk, BodyWalk(seed + walk)
            view = [*VIEWS][walk % len(VIEWS)]
            x, y, z = np.array(VIEWS[view]) * random.uniform(0.9, 1.15)
            place = (x + random.normal(0, 50), y + random.normal(0, 50), z)
            camera = simulated_camera(view, width, height, place)
            painter = CameraPainter(camera, float(random.uniform(0.5, 5)), seed + walk)
        body = body_walk.at(float(random.uniform(0, 600)))
        painter.paint(image, body, number)

        name = f"img{number:04}.png"
        _, data = cv2.imencode(".png", _lit(image, random))
        (images / name).write_bytes(data.tobytes())
        names.append(f"labeled-data/arena/{name}")
        points[number] = visible_points(camera, body).ravel()
    write_labels(
        folder / "CollectedData.csv",
        SCORER,
        BODY.bodyparts,
        names,
        points.reshape(frames, -1, 2),
        individuals=[],
        digits=3,
    )


def _lit(image: Image, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image in another light."""
    gain, lift = random.uniform(0.6, 1.25), random.uniform(-12, 18)
    return np.clip(np.round(image * gain + lift), 0, 255).astype(np.uint8)
