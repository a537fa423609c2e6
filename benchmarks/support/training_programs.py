"""The two programs of the training benchmark, and what both are told."""

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BATCH = 8


def existing(word: str) -> Path:
    """Return the path of a program of another environment, for argparse."""
    path = Path(word)
    if not path.is_file():
        raise argparse.ArgumentTypeError(
            f"{word} does not exist: install the other program into an environment of "
            f"its own, and name the file in the environment's bin (Scripts) folder"
        )
    return path.absolute()


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
            "log_every_n_steps": 1,
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

    logged = "train_supervised_loss"

    def __init__(self, config: Path, precision: str) -> None:
        self.config, self.precision = config, precision

    def train(self, folder: Path, epochs: int) -> float:
        """Train and return the seconds that it took."""
        return self._train(folder, length(epochs))

    def recipe(self, folder: Path, steps: int) -> float:
        """Train our best in so many steps; return the seconds that it took."""
        changes = {
            "model.backbone": "efficientnet_lite0",
            "model.backbone_pretrained": "true",
            "model.head": "light",
            "model.heatmap_loss_type": "cross_entropy",
            "training.optimizer": "AdamW",
            "training.optimizer_params.learning_rate": "0.003",
            "+training.max_steps": str(steps),
            "+training.lr_scheduler_params.multisteplr.milestone_steps": (
                f"[{int(0.5 * steps)},{int(0.75 * steps)},{int(0.9 * steps)}]"
            ),
            "training.lr_scheduler_params.multisteplr.gamma": "0.4",
        }
        words = [f"{key}={word}" for key, word in changes.items()]
        without = ["~training.max_epochs", "~training.min_epochs"]
        without.append("~training.check_val_every_n_epoch")
        return self._train(folder, [*words, *without])

    def _train(self, folder: Path, overrides: Sequence[str]) -> float:
        program = [sys.executable, "-W", "ignore", str(ROOT / "utils/TrainNetwork.py")]
        words = [str(self.config), "--output", str(folder), "--quiet"]
        words += ["--precision", self.precision, "--overrides", *overrides]
        return timed([*program, *words])

    def take_over(self, theirs: Path, folder: Path) -> Path:
        """Return the model folder of what Lightning Pose trained."""
        program = [sys.executable, "-W", "ignore", str(ROOT / "utils/ImportModel.py")]
        timed([*program, str(theirs), "--output", str(folder)])
        return folder

    def predict(self, folder: Path, video: Path) -> float:
        """Predict a video in 32 bits and return the seconds that it took."""
        program = [sys.executable, "-W", "ignore", str(ROOT / "utils/PredictVideos.py")]
        words = [str(video), "--model", str(folder), "--output", str(folder / "videos")]
        words += ["--to", "csv", "--no-metrics", "--overwrite"]
        return timed([*program, *words])


class Theirs:
    """Lightning Pose's."""

    logged = "train_supervised_loss"

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
    """Return overrides for so many epochs, one look at held-out images at their end."""
    keys = ("max_epochs", "check_val_every_n_epoch")
    return [f"training.{key}={epochs}" for key in keys]


def timed(command: Sequence[str]) -> float:
    """Run it and return the seconds that it took; a failure ends the benchmark."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr[-3000:]}")
    return time.perf_counter() - start
