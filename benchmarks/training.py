"""Training and predicting, side by side with Lightning Pose, in turns on one machine.

    python benchmarks/training.py --data mirror-mouse/ --rival venv-lp/bin/litpose

Same pictures, same split, same backbone from random weights, same heads, same number of
steps, same processor. Times are differences of a long and a short run of each program, so
that what it takes to start is left out. `--data` is a folder of Lightning Pose's with
`CollectedData.csv` and `videos/`; how to install the other program in an environment of its
own is in docs/training.md. Without `--rival` only ours is measured.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

HERE = Path(__file__).resolve().parents[1]
BATCH = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        help="folder with CollectedData.csv, videos/",
    )
    add(
        "--rival", type=Path, help="the litpose program of Lightning Pose's environment"
    )
    add("--backbone", default="resnet18", choices=("resnet18", "resnet50"))
    add("--epochs", type=int, default=30)
    add("--rounds", type=int, default=3, help="of times, in turns")
    add("--frames", type=int, default=400, help="of video, for the speed of predicting")
    add("--quick", action="store_true", help="two epochs, one round, 60 frames")
    add("--json", type=Path, help="write the figures too")
    given = parser.parse_args(argv)
    if given.quick:
        given.epochs, given.rounds, given.frames = 2, 1, 60
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
    video = first_video(given.data)
    cuts = {count: cut(video, count, folder) for count in (20, 20 + given.frames)}
    programs = {"ours": Ours(config)}
    if given.rival:
        programs["theirs"] = Theirs(config, given.rival.resolve())
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    rates: dict[str, list[float]] = {name: [] for name in programs}
    errors: dict[str, float] = {}
    for turn in range(given.rounds):
        for name, program in programs.items():
            runs = folder / f"{name}{turn}"
            times = {n: program.train(runs / str(n), n) for n in (1, 1 + given.epochs)}
            steps = given.epochs * steps_per_epoch(given.data)
            seconds[name].append((times[1 + given.epochs] - times[1]) / steps)
            trained = runs / str(1 + given.epochs)
            errors.setdefault(name, held_out_error(trained))
            took = {n: program.predict(trained, file) for n, file in cuts.items()}
            short, long = sorted(took)
            rates[name].append((long - short) / max(1e-9, took[long] - took[short]))
    result: dict[str, Any] = {
        name: {
            "seconds_per_step": round(min(seconds[name]), 4),
            "frames_per_second": round(max(rates[name]), 2),
            "held_out_median_px": round(errors[name], 3),
        }
        for name in programs
    }
    if "theirs" in result:
        ours, theirs = result["ours"], result["theirs"]
        result["ratios"] = {
            "step": round(theirs["seconds_per_step"] / ours["seconds_per_step"], 2),
            "predict": round(
                ours["frames_per_second"] / theirs["frames_per_second"], 2
            ),
            "error": round(
                ours["held_out_median_px"] / theirs["held_out_median_px"], 2
            ),
        }
    return result


def configuration(data: Path, backbone: str) -> dict[str, Any]:
    """Return what both programs are told."""
    with (data / "CollectedData.csv").open(newline="") as lines:
        names = list(csv.reader(lines))[1][1::2]
    return {
        "data": {
            "image_resize_dims": {"height": 256, "width": 256},
            "data_dir": str(data),
            "video_dir": str(data / "videos"),
            "csv_file": "CollectedData.csv",
            "downsample_factor": 2,
            "num_keypoints": len(names),
            "keypoint_names": names,
            "mirrored_column_matches": None,
            "columns_for_singleview_pca": None,
        },
        "training": {
            "imgaug": "dlc",
            "train_batch_size": BATCH,
            "val_batch_size": BATCH,
            "test_batch_size": BATCH,
            "train_prob": 0.8,
            "val_prob": 0.1,
            "train_frames": 1,
            "num_gpus": 1,
            "num_workers": 1,
            "unfreezing_epoch": 0,
            "min_epochs": 1,
            "max_epochs": 2,
            "log_every_n_steps": 10,
            "check_val_every_n_epoch": 1000,
            "ckpt_every_n_epochs": None,
            "early_stopping": False,
            "early_stop_patience": 3,
            "rng_seed_data_pt": 0,
            "rng_seed_model_pt": 0,
            "optimizer": "Adam",
            "optimizer_params": {"learning_rate": 0.001},
            "lr_scheduler": "multisteplr",
            "lr_scheduler_params": {"multisteplr": {"milestones": [1], "gamma": 1.0}},
            "uniform_heatmaps_for_nan_keypoints": False,
            "accumulate_grad_batches": 1,
        },
        "model": {
            "losses_to_use": [],
            "backbone": backbone,
            "backbone_pretrained": False,
            "head": "heatmap_cnn",
            "model_type": "heatmap",
            "heatmap_loss_type": "mse",
            "model_name": "benchmark",
            "checkpoint": None,
        },
        "dali": {
            "base": {
                "train": {"sequence_length": 8},
                "predict": {"sequence_length": 8},
            },
            "context": {"train": {"batch_size": 8}, "predict": {"sequence_length": 8}},
        },
        "losses": {},
        "callbacks": {
            "anneal_weight": {
                "attr_name": "total_unsupervised_importance",
                "init_val": 0.0,
                "increase_factor": 0.01,
                "final_val": 1.0,
                "freeze_until_epoch": 0,
            }
        },
        "eval": {
            "predict_vids_after_training": False,
            "save_vids_after_training": False,
            "test_videos_directory": str(data / "videos"),
            "colormap": "cool",
            "confidence_thresh_for_vid": 0.9,
        },
    }


class Ours:
    """The programs of the checkout."""

    def __init__(self, config: Path) -> None:
        self.config = config

    def train(self, folder: Path, epochs: int) -> float:
        """Train and return the seconds that it took."""
        program = [sys.executable, "-W", "ignore", str(HERE / "utils/TrainNetwork.py")]
        words = [str(self.config), "--output", str(folder), "--quiet", "--overrides"]
        return timed([*program, *words, *length(epochs)])

    def predict(self, folder: Path, video: Path) -> float:
        """Predict a video and return the seconds that it took."""
        program = [sys.executable, "-W", "ignore", str(HERE / "utils/PredictVideos.py")]
        words = [str(video), "--model", str(folder), "--output", str(folder / "videos")]
        words += ["--device", "cpu", "--no-metrics", "--overwrite"]
        return timed([*program, *words])


class Theirs:
    """Lightning Pose's."""

    def __init__(self, config: Path, litpose: Path) -> None:
        self.config, self.litpose = config, litpose

    def train(self, folder: Path, epochs: int) -> float:
        """Train and return the seconds that it took."""
        words = ["train", str(self.config), "--output_dir", str(folder), "--overrides"]
        return timed([str(self.litpose), *words, *length(epochs)])

    def predict(self, folder: Path, video: Path) -> float:
        """Predict a video and return the seconds that it took."""
        words = ["predict", str(folder), str(video), "--skip_viz", "--overwrite"]
        return timed([str(self.litpose), *words, "--batch_size", str(BATCH)])


def length(epochs: int) -> list[str]:
    """Return overrides for so many epochs, one look at held-out pictures at their end."""
    keys = ("max_epochs", "check_val_every_n_epoch")
    return [f"training.{key}={epochs}" for key in keys]


def timed(command: Sequence[str]) -> float:
    """Run it and return the seconds that it took; a failure ends the benchmark."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr[-3000:]}")
    return time.perf_counter() - start


def steps_per_epoch(data: Path) -> int:
    """Return the steps in which all training pictures are seen."""
    with (data / "CollectedData.csv").open(newline="") as lines:
        count = len(list(csv.reader(lines))) - 3
    train, rest = int(0.8 * count), count - int(0.8 * count) - int(0.1 * count)
    return -(-(train + (rest if rest < 5 else 0)) // BATCH)


def held_out_error(folder: Path) -> float:
    """Return the median error of the pictures not trained on, px; both write alike."""
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
    capture = cv2.VideoCapture(str(video))
    size = (int(capture.get(3)), int(capture.get(4)))
    file = folder / f"{frames}.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
    for _ in range(frames):
        there, frame = capture.read()
        if not there:
            raise SystemExit(f"{video} has less than {frames} frames")
        writer.write(frame)
    writer.release()
    capture.release()
    return file


if __name__ == "__main__":
    sys.exit(main())
