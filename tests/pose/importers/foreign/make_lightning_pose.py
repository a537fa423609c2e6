"""Make lightning_pose_*.tar.xz beside this file, where Lightning Pose is installed.

    python -m tests.pose.importers.foreign.make_lightning_pose [NAME] …

Checkpoints as Lightning Pose writes them, with weights that repeat, so that the archives
are small (transformers are small ones, not those of the net), and what
`from_lightning_pose.py` makes of them.
"""

import sys
import tempfile
from pathlib import Path

from tests.pose.importers.foreign import standins
from tests.pose.importers.foreign.making import exported, repeating

CONFIG = """
data:
  image_resize_dims: {{height: 128, width: 128}}
  keypoint_names: [nose, paw, tail]
  downsample_factor: 2
model: {{model_name: tiny, model_type: {kind}, backbone: {backbone}, losses_to_use: []}}
"""


def main() -> None:
    """Write the archives that are asked for."""
    standins.transformers()
    for name in sys.argv[1:] or _KINDS:
        _make(name, *_KINDS[name])


def _make(name, kind, tracker_name, backbone, times):
    import lightning.pytorch as pl
    from lightning_pose import models
    from omegaconf import OmegaConf

    rate = OmegaConf.create({"learning_rate": 1e-3})
    size = {"image_size": 128} if backbone.startswith("vit") else {}
    tracker = getattr(models, tracker_name)(
        num_keypoints=3,
        backbone=backbone,
        pretrained=False,
        optimizer_params=rate,
        **size,
    )
    tracker.load_state_dict(repeating(tracker.state_dict(), ("head", times)))
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0
    )
    trainer.strategy.connect(tracker)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        checkpoints = folder / "tb_logs/tiny/version_0/checkpoints"
        checkpoints.mkdir(parents=True)
        text = CONFIG.format(kind=kind, backbone=backbone)
        (folder / "config.yaml").write_text(text, "utf-8")
        file = checkpoints / "epoch=1-step=1-best.ckpt"
        trainer.save_checkpoint(file, weights_only=True)
        exported("from_lightning_pose.py", folder, f"lightning_pose_{name}")


# Heads' weights are so many times larger: heat maps have one peak each then.
_KINDS = {
    "regression": ("regression", "RegressionTracker", "resnet18", 20),
    "heatmap_mhcrnn": ("heatmap_mhcrnn", "HeatmapTrackerMHCRNN", "resnet18", 5),
    "efficientnet": ("heatmap", "HeatmapTracker", "efficientnet_b0", 50),
    "vit": ("heatmap", "HeatmapTracker", "vits_dino", 50),
    "dinov2": ("heatmap", "HeatmapTracker", "vits_dinov2", 50),
}

if __name__ == "__main__":
    main()
