"""Make sleap_nn_*.tar.xz beside this file, where SLEAP-NN is installed.

    python make_sleap_nn.py

Tiny networks, trained for seconds on drawn dots, as `sleap-nn export` writes them, and
where SLEAP-NN itself sees one animal's dots in pictures that it was not trained on.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
HEIGHT, WIDTH, CROP = 96, 128, 64
PARTS = ["snout", "tailbase"]


def main() -> None:
    """Write both archives."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _train(folder / "single", "single_instance")
        _train(folder / "centroid", "centroid")
        _train(folder / "centered", "centered_instance")
        _export(folder, "single", ["single"])
        _export(folder, "top_down", ["centroid", "centered"])


def drawn(rng, height=HEIGHT, width=WIDTH):
    """Return a grey picture and the two dots in it, pixels."""
    rows, columns = np.mgrid[:height, :width]
    at = rng.uniform([24, 24], [width - 24, height - 24])
    turn = rng.uniform(0, 2 * np.pi)
    along = 9 * np.array([np.cos(turn), np.sin(turn)])
    points = np.stack([at + along, at - along])
    picture = rng.normal(170, 5, (height, width))
    for (x, y), shade, radius in zip(points, (20, 80), (5, 6), strict=True):
        picture[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = shade
    return picture.clip(0, 255).astype(np.uint8), points


def _around_snout(rng):
    picture, points = drawn(rng, 3 * CROP, 3 * CROP)
    padded = np.pad(picture, CROP)
    left, top = (points[0] + CROP / 2 + rng.uniform(-4, 4, 2)).astype(int)
    points = points + CROP - [left, top]
    return padded[top : top + CROP, left : left + CROP], points


def _train(folder, kind):
    import lightning.pytorch as pl
    import torch
    from omegaconf import OmegaConf
    from sleap_nn.config import model_config as words
    from sleap_nn.config.training_job_config import TrainingJobConfig
    from sleap_nn.data.confidence_maps import generate_confmaps
    from sleap_nn.training import lightning_modules as modules

    job = TrainingJobConfig()
    job.model_config.backbone_config.unet = words.UNetConfig(
        in_channels=1, filters=6, filters_rate=1.5, max_stride=8, output_stride=2
    )
    heads = job.model_config.head_configs
    how = {"sigma": 1.5, "output_stride": 2}
    if kind == "centroid":
        module = modules.CentroidLightningModule
        maps = words.CentroidConfMapsConfig(anchor_part=PARTS[0], **how)
        heads.centroid = words.CentroidConfig(confmaps=maps)
    elif kind == "centered_instance":
        module = modules.TopDownCenteredInstanceLightningModule
        maps = words.CenteredInstanceConfMapsConfig(
            part_names=PARTS, anchor_part=PARTS[0], **how
        )
        heads.centered_instance = words.CenteredInstanceConfig(confmaps=maps)
        job.data_config.preprocessing.crop_size = CROP
    else:
        module = modules.SingleInstanceLightningModule
        maps = words.SingleInstanceConfMapsConfig(part_names=PARTS, **how)
        heads.single_instance = words.SingleInstanceConfig(confmaps=maps)
    job.data_config.skeletons = [
        {
            "name": "mouse",
            "nodes": [{"name": part} for part in PARTS],
            "edges": [
                {"source": {"name": PARTS[0]}, "destination": {"name": PARTS[1]}}
            ],
            "symmetries": [],
        }
    ]
    config = job.to_sleap_nn_cfg()
    folder.mkdir()
    OmegaConf.save(config, folder / "training_config.yaml")
    tracker = module(
        model_type=kind,
        backbone_type="unet",
        backbone_config=config.model_config.backbone_config,
        head_configs=config.model_config.head_configs,
        lr_scheduler=config.trainer_config.lr_scheduler,
    )
    rng = np.random.default_rng(0)
    size = (CROP, CROP) if kind == "centered_instance" else (HEIGHT, WIDTH)
    draw = _around_snout if kind == "centered_instance" else drawn
    optimiser = torch.optim.Adam(tracker.parameters(), 2e-3)
    for _ in range(400):
        pictures, points = zip(*(draw(rng) for _ in range(4)), strict=True)
        wanted = torch.from_numpy(np.stack(points)).float()
        if kind == "centroid":
            wanted = wanted[:, :1]
        given = torch.from_numpy(np.stack(pictures)).float()[:, None] / 255
        target = generate_confmaps(wanted, size, 1.5, 2)
        output = tracker.model(given)
        output = next(iter(output.values())) if isinstance(output, dict) else output
        loss = ((output - target) ** 2 * (0.1 + target)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0
    )
    trainer.strategy.connect(tracker)
    trainer.save_checkpoint(folder / "best.ckpt", weights_only=True)


def _export(folder, name, parts):
    from sleap_nn.inference.predictor import Predictor

    models = [str(folder / part) for part in parts]
    out = folder / f"sleap_nn_{name}"
    words = [
        "export",
        *models,
        "-o",
        str(out),
        "--format",
        "onnx",
        "--max-instances",
        "2",
    ]
    words += ["--input-height", str(HEIGHT), "--input-width", str(WIDTH)]
    subprocess.run(
        [str(Path(sys.executable).with_name("sleap-nn")), *words], check=True
    )
    rng = np.random.default_rng(7)
    pictures = np.stack([drawn(rng)[0] for _ in range(12)])
    held = {"pictures": np.repeat(pictures[..., None], 3, axis=3)}
    if name == "single":
        predictor = Predictor.from_model_paths(models)
        found = predictor.predict(pictures[..., None], make_labels=False)
        held["points"] = np.concatenate([one.pred_keypoints[:, 0] for one in found])
        held["confidences"] = np.concatenate(
            [one.pred_peak_values[:, 0] for one in found]
        )
    np.savez_compressed(out / "reference.npz", **held)
    with tarfile.open(HERE / f"{out.name}.tar.xz", "w:xz") as archive:
        for file in sorted(out.iterdir()):
            archive.add(file, file.name)


if __name__ == "__main__":
    main()
