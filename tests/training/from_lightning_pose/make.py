"""Make the other files of this folder, where Lightning Pose is installed."""

import json
import zipfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def main() -> None:
    """Write both files beside this one."""
    import lightning.pytorch as pl
    from lightning_pose.models import HeatmapTracker
    from omegaconf import OmegaConf
    from seeded import filled, picture

    rate = OmegaConf.create({"learning_rate": 1e-3})
    tracker = HeatmapTracker(
        3, backbone="resnet18", pretrained=False, optimizer_params=rate
    )
    shapes = [(key, tuple(value.shape)) for key, value in tracker.state_dict().items()]
    (HERE / "tensors.json").write_text(json.dumps(shapes), "utf-8")
    tensors = {k: torch.from_numpy(np.asarray(v)) for k, v in filled(shapes).items()}
    tracker.load_state_dict(tensors)
    tracker.eval()
    x = torch.from_numpy(picture()[..., ::-1].copy()).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        maps = tracker(((x - mean) / std).permute(0, 3, 1, 2).contiguous())
    np.save(HERE / "maps.npy", maps.numpy())
    trainer = pl.Trainer(accelerator="cpu", logger=False, max_epochs=0)
    trainer.strategy.connect(tracker)
    whole = HERE / "whole.ckpt"
    trainer.save_checkpoint(whole, weights_only=True)
    with (
        zipfile.ZipFile(whole) as full,
        zipfile.ZipFile(
            HERE / "checkpoint_without_tensors.zip", "w", zipfile.ZIP_DEFLATED
        ) as empty,
    ):
        for name in full.namelist():
            if "/data/" not in name:
                empty.writestr(name, full.read(name))
    whole.unlink()


if __name__ == "__main__":
    main()
