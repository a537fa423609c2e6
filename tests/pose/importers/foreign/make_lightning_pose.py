"""Make lightning_pose_*.tar.xz beside this file, where Lightning Pose is installed.

    python make_lightning_pose.py

Checkpoints as Lightning Pose writes them, with weights that repeat, so that the archives
are small, and what `from_lightning_pose.py` makes of them.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SCRIPT = HERE.parents[3] / "pose/importers/scripts/from_lightning_pose.py"
CONFIG = """
data:
  image_resize_dims: {{height: 128, width: 128}}
  keypoint_names: [nose, paw, tail]
  downsample_factor: 2
model: {{model_type: {kind}, backbone: {backbone}, losses_to_use: []}}
"""


def main() -> None:
    """Write both archives."""
    from lightning_pose import models

    _make("regression", models.RegressionTracker, "resnet18")
    _make("heatmap_mhcrnn", models.HeatmapTrackerMHCRNN, "resnet18")


def _make(kind, tracker_class, backbone):
    import lightning.pytorch as pl
    from omegaconf import OmegaConf

    rate = OmegaConf.create({"learning_rate": 1e-3})
    tracker = tracker_class(
        num_keypoints=3, backbone=backbone, pretrained=False, optimizer_params=rate
    )
    tracker.load_state_dict(_repeating(tracker.state_dict(), kind))
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0
    )
    trainer.strategy.connect(tracker)
    with tempfile.TemporaryDirectory() as place:
        folder, made = Path(place) / "model", Path(place) / "made"
        folder.mkdir()
        text = CONFIG.format(kind=kind, backbone=backbone)
        (folder / "config.yaml").write_text(text, "utf-8")
        trainer.save_checkpoint(folder / "epoch=1-step=1-best.ckpt", weights_only=True)
        words = [str(SCRIPT), str(folder), "--output", str(made)]
        subprocess.run([sys.executable, *words], check=True)
        with tarfile.open(HERE / f"lightning_pose_{kind}.tar.xz", "w:xz") as archive:
            for file in sorted(made.iterdir()):
                archive.add(file, file.name)


def _repeating(state, kind):
    """Return weights of the same shapes: 251 numbers, over and over.

    Those of heat map heads are large, so that each map has one peak.
    """
    import torch

    numbers = np.random.default_rng(0).standard_normal(251).astype(np.float32)
    filled = {}
    for name, old in state.items():
        if not old.is_floating_point():
            filled[name] = old
        elif name.endswith("running_var"):
            filled[name] = torch.ones_like(old)
        elif old.ndim < 2:
            filled[name] = old * 0 + (0 if name.endswith(("bias", "mean")) else 1)
        else:
            scale = (2 / old[0].numel()) ** 0.5
            if "head" in name:
                scale *= 5 if kind.startswith("heatmap") else 20
            values = np.resize(numbers, old.numel()) * np.float32(scale)
            filled[name] = torch.from_numpy(values.reshape(old.shape))
    return filled


if __name__ == "__main__":
    main()
