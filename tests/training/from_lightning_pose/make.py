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
    principal_components()


def principal_components() -> None:
    """Write what its PCA losses say of `seeded.poses`."""
    from lightning_pose.losses import losses
    from seeded import poses

    labels, found = poses()
    told = []

    class Given(losses.KeypointPCA):
        """Learns from given labels instead of those of a project."""

        def _get_data(self) -> None:
            self.data_arr = torch.from_numpy(labels.reshape(len(labels), -1))

    losses.KeypointPCA = Given
    views, pose = [[0, 1, 2], [3, 4, 5]], [0, 1, 2, 4]
    for case in (
        {"loss_name": "pca_multiview", "mirrored_column_matches": views},
        {
            "loss_name": "pca_multiview",
            "mirrored_column_matches": views,
            "epsilon": 2.0,
        },
        {"loss_name": "pca_singleview", "components_to_keep": 0.9},
        {
            "loss_name": "pca_singleview",
            "components_to_keep": 4,
            "columns_for_singleview_pca": pose,
            "empirical_epsilon_percentile": 90.0,
            "empirical_epsilon_multiplier": 0.5,
        },
    ):
        words = {"components_to_keep": 3, **case}
        loss = losses.PCALoss(data_module=object(), device="cpu", **words)
        value, _ = loss(torch.from_numpy(found.reshape(len(found), -1)))
        told.append(
            {**words, "value": float(value), "used_epsilon": float(loss.epsilon)}
        )
    (HERE / "pca.json").write_text(json.dumps(told, indent=1), "utf-8")


if __name__ == "__main__":
    main()
