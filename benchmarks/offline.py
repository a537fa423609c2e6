"""Whole videos offline, beside their floors: predict, render, motion energy, queue.

Floors are measured in the same run on the same video: the decoder alone, the network
alone. Lightning Pose's own `predict` and renderer are run too where it is installed
(--litpose names its program): the same network, trained there and taken over here.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.offline_programs import energy_as_iblvideo, lightning_pose
from benchmarks.support.training_programs import existing
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.offline.ibl.motion_energy import Box, motion_energies
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.queue.session_queue import open_queue
from deeplabstream.offline.rendering import Look, Shown, render
from deeplabstream.offline.video_inference import estimate_batches, predict
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.simulation.arena import Arena
from deeplabstream.video.decoding import Decoder
from deeplabstream.video.recording_options import RecordingOptions
from deeplabstream.video.video_reader import open_video

AIM_OF_FLOOR = 0.9
AIM_OF_LIGHTNING_POSE = 4.0


def film(folder: Path, frames: int, size: tuple[int, int]) -> Path:
    """Write an H.264 video of the simulated arena."""
    path, shape = folder / "film.mkv", (*size, 3)
    arena = Arena(shape, 3, shelter=True, noise=2.0)
    image: Image = np.empty(shape, np.uint8)
    with VideoWriter(path, ImageFormat(shape, 30), RecordingOptions()) as file:
        for number in range(frames):
            arena.draw(image, number / 30, number)
            file.write(image, number, number * 33_333_333, number * 33_333_333)
    return path


def rate(frames: int, work: Callable[[], object], repeats: int) -> float:
    """Return frames/s, the best of some rounds."""
    best = 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = max(best, frames / (time.perf_counter() - start))
    return best


def predicting(
    path: Path,
    model: str,
    repeats: int,
    batch: int,
    runtime: str = "auto",
    decoder: Decoder = "cpu",
) -> dict[str, float]:
    """Return frames/s of prediction and of its two floors.

    The network alone gets images that were decoded before, as prediction gives them to
    it: side by side on all cores.
    """
    rows = open_video(path)
    estimator = open_parallel(partial(open_estimator, model, runtime))
    decoded = [p for p in islice(rows.images(), 64) if p.image is not None]
    many = decoded * max(1, len(rows) // len(decoded))

    def network() -> None:
        for _ in estimate_batches(many, estimator, batch):
            pass

    def decoding() -> None:
        for _ in rows.images(decoder=decoder):
            pass

    best = {"decoder alone": 0.0, "network alone": 0.0, "predict": 0.0}
    for _ in range(repeats):  # in turns: what else the computer does hits all alike
        turns: dict[str, tuple[int, Callable[[], object]]] = {
            "decoder alone": (len(rows), decoding),
            "network alone": (len(many), network),
            "predict": (
                len(rows),
                lambda: predict(path, estimator, model, batch=batch, decoder=decoder),
            ),
        }
        for name, (frames, work) in turns.items():
            best[name] = max(best[name], rate(frames, work, 1))
    return best


def rendering(path: Path, folder: Path, model: str, repeats: int) -> dict[str, float]:
    """Return frames/s of labelled videos: points alone; edges and trails."""
    table = predict(path, open_estimator(model), model).table
    WRITERS["parquet"](table, folder / "poses.parquet")
    poses = read_poses(folder / "poses.parquet")
    shown = [Shown(poses, 0.3, edges=table.skeleton.edges)]
    plain, rich = Look(edges=False), Look(trail=20)
    rows = open_video(path)
    made = folder / "made.mp4"
    return {
        "points": rate(len(rows), lambda: render(rows, made, shown, plain), repeats),
        "edges and trails": rate(
            len(rows), lambda: render(rows, made, shown, rich), repeats
        ),
    }


def moving(path: Path, repeats: int) -> dict[str, float]:
    """Return frames/s of motion energy, its floor, and iblvideo's way of doing it."""
    rows = open_video(path)
    box = Box(100, 100, 116, 77)

    return {
        "decoder alone": rate(
            len(rows), lambda: sum(1 for _ in rows.images()), repeats
        ),
        "motion energy": rate(
            len(rows), lambda: motion_energies(rows, {"a": box}), repeats
        ),
        "as iblvideo does it": rate(
            len(rows), lambda: energy_as_iblvideo(path, box), repeats
        ),
    }


def queueing(folder: Path, sessions: int, kills: int) -> dict[str, float]:
    """Kill workers at random; return how many sessions were done once and are whole."""
    tree = folder / "tree"
    places = [tree / f"mouse/2026-11-21/{number:03}" for number in range(sessions)]
    for place in places:
        (place / "raw_video_data").mkdir(parents=True)
    worker = str(Path(__file__).with_name("support") / "queue_worker.py")
    start = time.perf_counter()
    running = [_worker(worker, tree, n) for n in range(2)]
    chance = random.Random(0)
    killed = 0
    while any(each.poll() is None for each in running):
        time.sleep(chance.uniform(0.5, 2.0))
        alive = [n for n, each in enumerate(running) if each.poll() is None]
        if alive and killed < kills:
            number = chance.choice(alive)
            running[number].kill()
            running[number].wait()
            killed += 1
            running[number] = _worker(worker, tree, 10 + killed)
    queue = open_queue(tree)
    while any(not queue.state_is_final(place) for place in places):
        _worker(worker, tree, 99).wait()
    logs = [(place / "log").read_text() for place in places]
    whole = [(place / "result").stat().st_size == 200_000 for place in places]
    return {
        "sessions": sessions,
        "workers killed": killed,
        "done exactly once": sum(log.count("ended") == 1 for log in logs),
        "begun again after a kill": sum(log.count("begun") > 1 for log in logs),
        "whole": sum(whole),
        "seconds": time.perf_counter() - start,
    }


def _worker(script: str, tree: Path, number: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, script, str(tree), f"worker {number}"])


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the aims are met, 1 when not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer frames and sessions"
    )
    parser.add_argument("--frames", type=int, help="of the video (900, quick: 400)")
    parser.add_argument("--sessions", type=int, help="in the queue (40, quick: 8)")
    parser.add_argument("--json", type=Path, help="write everything there")
    parser.add_argument("--model", default="arena")
    parser.add_argument("--batch", type=int, default=0, help="0: as PredictVideos")
    parser.add_argument("--video", type=Path, help="instead of the drawn film")
    parser.add_argument(
        "--litpose", type=existing, help="Lightning Pose's program, in its environment"
    )
    parser.add_argument(
        "--litpose-model",
        type=Path,
        help="a directory that it trained (a network that ImportModel takes); without "
        "one it trains one, for one epoch",
    )
    asked = parser.parse_args(argv)
    frames, repeats = (400, 2) if asked.quick else (900, 3)
    frames = asked.frames or frames
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = asked.video or film(folder, frames, (406, 396))
        found = predicting(path, asked.model, repeats, asked.batch)
        floor = min(found["decoder alone"], found["network alone"])
        found["share of the slower floor"] = found["predict"] / floor
        results["predict"] = found
        results["render"] = rendering(path, folder, asked.model, repeats)
        if asked.litpose:
            model, program = asked.litpose_model, asked.litpose
            theirs = lightning_pose(program, model, path, folder / "theirs")
            results["Lightning Pose"] = theirs
        results["motion energy"] = moving(path, repeats)
        sessions = asked.sessions or (8 if asked.quick else 40)
        kills = sessions * 3 // 8
        results["queue"] = queueing(folder, sessions, kills)
    for part, numbers in results.items():
        print(part)
        for what, number in numbers.items():
            print(f"  {what:32} {number:9.2f}")
    if asked.json:
        about = {"python": platform.python_version(), "cores": os.cpu_count()}
        asked.json.write_text(
            json.dumps({**about, **results}, indent=2) + "\n", "utf-8"
        )
    queue = results["queue"]
    once = queue["done exactly once"] == queue["whole"] == queue["sessions"]
    fast = results["predict"]["share of the slower floor"] >= AIM_OF_FLOOR
    rivals = results.get("Lightning Pose", {})
    rival = rivals.get("times Lightning Pose", AIM_OF_LIGHTNING_POSE)
    return 0 if once and fast and rival >= AIM_OF_LIGHTNING_POSE else 1


if __name__ == "__main__":
    sys.exit(main())
