"""Training and predicting, side by side with Lightning Pose, in turns on one machine.

    python benchmarks/rivals/training.py --data mirror-mouse/ --rival venv-lp/bin/litpose

Same images, same split, same backbone from random weights, same head, loss, optimiser and
number of steps, same CPU. A step's time is taken from the times at which each program
logged its steps, so that starting up, measuring and writing do not count; what a whole
command takes is given beside it. Then both predict one video with the *same weights*:
ours imports what Lightning Pose has trained. Last, our best recipe (EfficientNet-Lite0 that
ImageNet taught) learns for as long as Lightning Pose's whole command took.

`--data` is a folder of Lightning Pose's with `CollectedData.csv` and `videos/`. Without
`--rival` only ours is measured. `--quick` takes two to three minutes on two cores, the whole
benchmark some seven. Lightning Pose 2.4.3 needs an environment of its own:

    python3.11 -m venv venv-lp
    venv-lp/bin/pip install torch==2.13.0
    venv-lp/bin/pip install aniposelib h5py hydra-core imaug kornia matplotlib jaxtyping
    venv-lp/bin/pip install "lightning~=2.5.0" "pytorch-lightning~=2.5.0" "moviepy>=2.0.0"
    venv-lp/bin/pip install opencv-python-headless pandas pillow safetensors scikit-learn
    venv-lp/bin/pip install tensorboard torchvision transformers
    venv-lp/bin/pip install --no-deps lightning-pose==2.4.3

With a CPU build of torch, torchvision needs the operators `torchvision::nms` and
`torchvision::qnms` declared (`torch.library.Library("torchvision", "DEF")`, both `(Tensor dets,
Tensor scores, float iou_threshold) -> Tensor`) at the top of its `__init__.py`.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.support.training_programs import (
    BATCH,
    Ours,
    Theirs,
    configuration,
    existing,
)
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.video_reader import open_video

SHORT = 24
"""Frames of the short video: what predicting takes to begin."""
SPARE = 0.95
"""Of the other program's wall time, what our best recipe's command is planned to take."""
TRIAL = 8
"""Steps of the run that tells how fast it is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="with CollectedData.csv, videos/")
    add("--rival", type=existing, help="the litpose program of the other environment")
    add("--backbone", default="resnet18", choices=("resnet18", "resnet50"))
    add("--epochs", type=int, default=6, help="more: errors that mean something")
    add("--rounds", type=int, default=2, help="in turns")
    add("--frames", type=int, default=360, help="of video, for the speed of predicting")
    add("--precision", default="auto", help="of our training: auto, full or mixed")
    add("--quick", action="store_true", help="two epochs, one round, 120 frames")
    add("--json", type=Path, help="write the figures too")
    given = parser.parse_args(argv)
    if given.quick:
        given.epochs, given.rounds, given.frames = 2, 1, 120
    with tempfile.TemporaryDirectory() as folder:
        result = measured(given, Path(folder))
    print(json.dumps(result, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return 0


def measured(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the figures of both programs, and their ratios."""
    config = folder / "config.yaml"
    words = configuration(given.data.resolve(), given.backbone)
    config.write_text(yaml.safe_dump(words), encoding="utf-8")
    ours = Ours(config, given.precision)
    programs: dict[str, Ours | Theirs] = {"ours": ours}
    if given.rival:
        programs["theirs"] = Theirs(config, given.rival)
    runs: dict[str, list[Trained]] = {name: [] for name in programs}
    steps = given.epochs * steps_per_epoch(given.data)
    for turn in range(given.rounds):
        for name, program in programs.items():
            place = folder / f"{name}{turn}"
            runs[name].append(trained(program, place, given.epochs, steps))
            said(f"{name} trained", runs[name][-1])
    result: dict[str, Any] = {name: summed(them) for name, them in runs.items()}
    result["steps"] = steps
    result |= predicted(given, programs, runs, folder)
    if "theirs" not in programs:
        return result
    wall_s = min(run.wall_s for run in runs["theirs"])
    result["best"] = best(ours, folder / "best", wall_s)
    mine, yours = result["ours"], result["theirs"]
    result["ratios"] = {
        "step": ratio(yours["step_s"], mine["step_s"]),
        "train_command": ratio(yours["command_s"], mine["command_s"]),
        "predict_same_weights": ratio(mine["frames_per_s"], yours["frames_per_s"]),
        "predict_command": ratio(yours["predict_s"], mine["predict_s"]),
        "error": ratio(mine["held_out_median_px"], yours["held_out_median_px"]),
        "error_best_same_time": ratio(
            result["best"]["held_out_median_px"], yours["held_out_median_px"]
        ),
    }
    return result


@dataclass(frozen=True)
class Trained:
    """One run of a program."""

    folder: Path
    wall_s: float
    """Of the whole command."""
    step_s: float
    """From the first logged step to the last, all that lies between included."""
    steady_s: float
    """The median step."""
    error_px: float
    """Median, of the images not trained on."""


def trained(program: Ours | Theirs, folder: Path, epochs: int, steps: int) -> Trained:
    """Train and look at what it left; SystemExit unless it made as many steps."""
    wall_s = program.train(folder, epochs)
    at = step_times(folder, program.logged)
    if max(at) + 1 != steps:
        raise SystemExit(f"{folder.name}: {max(at) + 1} steps were made, not {steps}")
    first, last = min(at), max(at)
    times = [at[n + 1] - at[n] for n in range(first, last) if {n, n + 1} <= set(at)]
    step_s = (at[last] - at[first]) / (last - first)
    return Trained(folder, wall_s, step_s, median(times), held_out_error(folder))


def step_times(folder: Path, tag: str) -> dict[int, float]:
    """Return when each step was logged, s, by its number from 0."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    places = {file.parent for file in folder.rglob("events.out.tfevents*")}
    found: dict[int, float] = {}
    for place in places:
        events = EventAccumulator(str(place), {"scalars": 0})
        events.Reload()
        if tag in events.Tags()["scalars"]:
            found |= {int(each.step): each.wall_time for each in events.Scalars(tag)}
    if len(found) < 2:
        raise SystemExit(f"{folder}: no steps are logged as {tag}")
    return found


def summed(runs: Sequence[Trained]) -> dict[str, Any]:
    """Return the least times, and the error of the first run (all have one seed)."""
    return {
        "step_s": round(min(run.step_s for run in runs), 4),
        "steady_step_s": round(min(run.steady_s for run in runs), 4),
        "command_s": round(min(run.wall_s for run in runs), 1),
        "held_out_median_px": round(runs[0].error_px, 3),
    }


def predicted(
    given: argparse.Namespace,
    programs: dict[str, Ours | Theirs],
    runs: dict[str, list[Trained]],
    folder: Path,
) -> dict[str, Any]:
    """Return the figures of training with those of predicting, same weights, added."""
    video = first_video(given.data)
    cuts = [cut(video, count, folder) for count in (SHORT, SHORT + given.frames)]
    ours = programs["ours"]
    if not isinstance(ours, Ours):
        raise SystemExit("ours is missing")
    models = {name: runs[name][0].folder for name in programs}
    if "theirs" in programs:
        models["ours"] = ours.take_over(models["theirs"], folder / "imported")
        # Once for a model and a machine, ours finds out which runtime is the fastest.
        ours.predict(models["ours"], cuts[0])
    took: dict[str, list[list[float]]] = {name: [] for name in programs}
    for _ in range(given.rounds):
        for name, program in programs.items():
            took[name].append([program.predict(models[name], cut) for cut in cuts])
            said(f"{name} predicted", took[name][-1])
    result = {}
    for name in programs:
        short, long = (min(turn[which] for turn in took[name]) for which in (0, 1))
        fresh = summed(runs[name])
        fresh["frames_per_s"] = round(given.frames / max(1e-9, long - short), 2)
        fresh["predict_s"] = round(long, 1)
        result[name] = fresh
    return result


def best(ours: Ours, folder: Path, wall_s: float) -> dict[str, Any]:
    """Return the figures of our own recipe, whose command may take `wall_s`.

    A short run before, which does not count, tells what a step takes and what the rest
    (starting, loading, measuring, exporting) takes.
    """
    trial_s = ours.recipe(folder / "trial", TRIAL)
    at = step_times(folder / "trial", ours.logged)
    first, last = min(at), max(at)
    pace_s = (at[last] - at[first]) / (last - first)
    rest_s = max(0.0, trial_s - TRIAL * pace_s)
    steps = max(TRIAL, int((SPARE * wall_s - rest_s) / pace_s))
    took_s = ours.recipe(folder / "whole", steps)
    return {
        "steps": steps,
        "allowed_s": round(wall_s, 1),
        "command_s": round(took_s, 1),
        "held_out_median_px": round(held_out_error(folder / "whole"), 3),
    }


def ratio(upper: float, lower: float) -> float:
    """Return the quotient, to two places."""
    return round(upper / lower, 2)


def said(what: str, figures: object) -> None:
    """Print to the error stream how far it is."""
    print(what, figures, file=sys.stderr, flush=True)


def steps_per_epoch(data: Path) -> int:
    """Return the steps in which all training images are seen."""
    with (data / "CollectedData.csv").open(newline="") as lines:
        count = len(list(csv.reader(lines))) - 3
    train, rest = int(0.8 * count), count - int(0.8 * count) - int(0.1 * count)
    return -(-(train + (rest if rest < 5 else 0)) // BATCH)


def held_out_error(folder: Path) -> float:
    """Return the median error of the images not trained on, px; both write alike."""
    with (folder / "predictions_pixel_error.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    held_out = [row[1:-1] for row in rows if row[-1] in ("validation", "test")]
    away = [float(cell) for row in held_out for cell in row if cell]
    return float(np.median(away))


def first_video(data: Path) -> Path:
    """Return a video of the data."""
    return min((data / "videos").glob("*.mp4"))


def cut(video: Path, frames: int, folder: Path) -> Path:
    """Return a video of the first so many frames."""
    reader = open_video(video)
    if len(reader) < frames:
        raise SystemExit(f"{video} has less than {frames} frames")
    size = (reader.form.width, reader.form.height)
    file = folder / f"{frames}.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
    for picture in islice(reader.images(), frames):
        if picture.image is None:
            raise SystemExit(f"{video}: frame {picture.row} can't be decoded")
        writer.write(as_bgr(picture.image))
    writer.release()
    return file


if __name__ == "__main__":
    sys.exit(main())
