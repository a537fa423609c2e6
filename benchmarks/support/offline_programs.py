"""What other programs need for the same offline work: Lightning Pose's, iblvideo's way.

Lightning Pose runs in an environment of its own. Its network is trained there for one
epoch on simulated images, taken over by utils/ImportModel.py, and both programs predict the
same video with the same weights. What starting costs is left out by predicting a short
video too. Its renderer is called with the poses that it predicted.
"""

import csv
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import yaml

from benchmarks.support.training_programs import ROOT, Theirs, configuration, timed
from deeplabstream.offline.ibl.motion_energy import Box
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena

LABELLED = 20
"""Pictures that their network learns from: it need not be good."""
SHORT = 24
"""Frames of the short video."""
BACKBONE = "resnet18"
_RENDER = """
import sys
from pathlib import Path
import pandas as pd
from lightning_pose.utils.predictions import generate_labeled_video
film, table, made = map(Path, sys.argv[1:])
poses = pd.read_csv(table, header=[0, 1, 2], index_col=0)
import time
start = time.perf_counter()
generate_labeled_video(str(film), poses, str(made), 0.0, "cool")
print("seconds", time.perf_counter() - start)
"""


def energy_as_iblvideo(path: Path, box: Box) -> float:
    """Measure a region's motion energy as the published formula is written down.

    All of the region's images are held, as there; returns the mean.
    """
    capture, grey = cv2.VideoCapture(str(path)), []
    while True:
        there, image = capture.read()
        if not there:
            break
        grey.append(cv2.cvtColor(image[box.wide], cv2.COLOR_BGR2GRAY))
    stack = np.asarray(grey, np.float32)
    return float(np.mean(np.abs(np.diff(stack, axis=0))))


def lightning_pose(
    program: Path, model: Path | None, film: Path, folder: Path
) -> dict[str, float]:
    """Return frames/s of both programs, and of their renderer.

    `model` is a directory that Lightning Pose trained; None: one is trained in `folder`.
    """
    folder.mkdir(parents=True)
    config = _project(folder / "project")
    theirs = Theirs(config, program)
    if model is None:
        model = folder / "trained"
        theirs.train(model, 1)
    ours = folder / "imported"
    importing = [sys.executable, "-W", "ignore", str(ROOT / "utils/ImportModel.py")]
    timed([*importing, str(model), "--output", str(ours)])
    films = [
        _mp4(film, folder / f"{name}.mp4", n)
        for name, n in (("short", SHORT), ("long", None))
    ]
    counts = [_frames(each) for each in films]
    _ours(ours, films[0], folder)  # the runtime is chosen once
    took = {
        "theirs": [theirs.predict(model, each) for each in films],
        "ours": [_ours(ours, each, folder) for each in films],
    }
    steady = {
        name: (counts[1] - counts[0]) / max(1e-9, long - short)
        for name, (short, long) in took.items()
    }
    return {
        "Lightning Pose's network, ours": steady["ours"],
        "Lightning Pose": steady["theirs"],
        "times Lightning Pose": steady["ours"] / steady["theirs"],
        "times its command, with starting": took["theirs"][1] / took["ours"][1],
        "Lightning Pose's renderer": _rendered(program, model, films[1], folder),
    }


def _ours(model: Path, film: Path, folder: Path) -> float:
    program = [sys.executable, "-W", "ignore", str(ROOT / "utils/PredictVideos.py")]
    words = [str(film), "--model", str(model), "--output", str(folder / "ours")]
    return timed([*program, *words, "--overwrite"])


def _rendered(program: Path, model: Path, film: Path, folder: Path) -> float:
    """Return frames/s of their renderer; NaN where it can't be called."""
    (table,) = model.rglob(f"video_preds/{film.stem}.csv")
    python = program.with_name("python")
    words = [
        str(python),
        "-c",
        _RENDER,
        str(film),
        str(table),
        str(folder / "theirs.mp4"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if done.returncode or not told:
        print(done.stderr[-500:], file=sys.stderr)
        return float("nan")
    return _frames(film) / float(told[-1].split()[1])


def _project(folder: Path) -> Path:
    """Write a project of simulated images as Lightning Pose wants it; return its YAML."""
    arena, image = Arena((406, 396, 3), 5), np.empty((406, 396, 3), np.uint8)
    images = folder / "labeled-data/drawn"
    images.mkdir(parents=True)
    (folder / "videos").mkdir()
    rows: list[list[object]] = []
    for number in range(LABELLED):
        arena.draw(image, number * 1.3, number)
        name = f"img{number:04}.png"
        cv2.imwrite(str(images / name), image)
        points = arena.truth(number * 1.3).reshape(-1, 2)
        rows.append([f"labeled-data/drawn/{name}", *points.ravel().round(2).tolist()])
    parts = ARENA_SKELETON.bodyparts
    double = [part for part in parts for _ in "xy"]
    with (folder / "CollectedData.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["scorer", *["drawn"] * len(double)])
        table.writerow(["bodyparts", *double])
        table.writerow(["coords", *["x", "y"] * len(parts)])
        table.writerows(rows)
    words: dict[str, Any] = configuration(folder.resolve(), BACKBONE)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(words), encoding="utf-8")
    return config


def _mp4(film: Path, path: Path, frames: int | None) -> Path:
    """Write (the beginning of) a video as constant-rate H.264, which they read."""
    with av.open(str(film)) as source, av.open(str(path), "w") as made:
        first = source.streams.video[0]
        stream = made.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height = first.width, first.height
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number == frames:
                break
            frame.pts, frame.time_base = number, Fraction(1, 30)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return path


def _frames(film: Path) -> int:
    with av.open(str(film)) as container:
        return sum(bool(packet.size) for packet in container.demux(video=0))
