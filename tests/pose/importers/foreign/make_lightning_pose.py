"""Make lightning_pose_*.tar.xz beside this file, where Lightning Pose is installed.

    python -m tests.pose.importers.foreign.make_lightning_pose

Checkpoints as Lightning Pose writes them, with weights that repeat, so that the archives
are small, and what `from_lightning_pose.py` makes of them.
"""

import tempfile
from pathlib import Path

from tests.pose.importers.foreign.making import exported, repeating

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
    # heat maps of large weights have one peak each
    times = 5 if kind.startswith("heatmap") else 20
    tracker.load_state_dict(repeating(tracker.state_dict(), ("head", times)))
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0
    )
    trainer.strategy.connect(tracker)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        folder.mkdir()
        text = CONFIG.format(kind=kind, backbone=backbone)
        (folder / "config.yaml").write_text(text, "utf-8")
        trainer.save_checkpoint(folder / "epoch=1-step=1-best.ckpt", weights_only=True)
        exported("from_lightning_pose.py", folder, f"lightning_pose_{kind}")


if __name__ == "__main__":
    main()
