"""Make sleap_nn_*.tar.xz beside this file, where SLEAP-NN is installed.

    python -m tests.pose.importers.foreign.make_sleap_nn [single|top_down|windows|bottom_up] …

Tiny networks, trained for seconds on drawn dots, as `sleap-nn export` writes them, and
where SLEAP-NN itself sees one animal's dots in pictures that it was not trained on.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from tests.pose.importers.foreign.drawing import (
    HEIGHT,
    PARTS,
    SEVERAL_EDGES,
    SEVERAL_PARTS,
    WIDTH,
    drawn,
    drawn_animals,
)
from tests.pose.importers.foreign.making import archived, rounded

CROP = 64
KINDS = ("single", "top_down", "bottom_up", "windows")
"""Names of archives: what one may ask for."""


def main():
    """Write the archives that are asked for."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    asked = sys.argv[1:] or KINDS
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if "single" in asked:
            _train(folder / "single", "single_instance")
            _export(folder, "single", ["single"])
        if {"top_down", "windows"} & {*asked}:
            _train(folder / "centroid", "centroid")
            _train(folder / "centered", "centered_instance")
            _export(folder, "top_down", ["centroid", "centered"])
            _export(folder, "windows", ["centered"])
        if "bottom_up" in asked:
            _train(folder / "bottom", "bottomup")
            _export(folder, "bottom_up", ["bottom"])


def _around_snout(rng):
    picture, points = drawn(rng, 3 * CROP, 3 * CROP)
    padded = np.pad(picture, CROP)
    left, top = (points[0] + CROP / 2 + rng.uniform(-4, 4, 2)).astype(int)
    points = points + CROP - [left, top]
    return padded[top : top + CROP, left : left + CROP], points


def _train(folder, kind):
    import lightning.pytorch as pl
    from omegaconf import OmegaConf
    from sleap_nn.config import model_config as words
    from sleap_nn.config.training_job_config import TrainingJobConfig
    from sleap_nn.training import lightning_modules as modules

    job = TrainingJobConfig()
    several = kind == "bottomup"
    job.model_config.backbone_config.unet = words.UNetConfig(
        in_channels=1,
        filters=8 if several else 6,
        filters_rate=1.5,
        max_stride=8,
        output_stride=2,
    )
    parts = SEVERAL_PARTS if several else PARTS
    edges = SEVERAL_EDGES if several else [tuple(PARTS)]
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
    elif several:
        module = modules.BottomUpLightningModule
        heads.bottomup = words.BottomUpConfig(
            confmaps=words.BottomUpConfMapsConfig(part_names=parts, **how),
            pafs=words.PAFConfig(
                edges=[list(edge) for edge in edges], sigma=4.0, output_stride=4
            ),
        )
    else:
        module = modules.SingleInstanceLightningModule
        maps = words.SingleInstanceConfMapsConfig(part_names=PARTS, **how)
        heads.single_instance = words.SingleInstanceConfig(confmaps=maps)
    job.data_config.skeletons = [
        {
            "name": "mouse",
            "nodes": [{"name": part} for part in parts],
            "edges": [
                {"source": {"name": one}, "destination": {"name": other}}
                for one, other in edges
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
    _learn(tracker, kind)
    tracker.load_state_dict(rounded(tracker.state_dict()))
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0
    )
    trainer.strategy.connect(tracker)
    trainer.save_checkpoint(folder / "best.ckpt", weights_only=True)


def _learn(tracker, kind):
    """Train it with SLEAP-NN's own targets."""
    import torch
    from sleap_nn.data.confidence_maps import generate_confmaps

    rng = np.random.default_rng(0)
    size = (CROP, CROP) if kind == "centered_instance" else (HEIGHT, WIDTH)
    draw = _around_snout if kind == "centered_instance" else drawn
    optimiser = torch.optim.Adam(tracker.parameters(), 2e-3)
    rounds = 900 if kind == "bottomup" else 400
    for turn in range(rounds):
        if kind == "bottomup":
            draw = partial(drawn_animals, count=int(rng.integers(1, 4)))
        pictures, points = zip(*(draw(rng) for _ in range(4)), strict=True)
        wanted = torch.from_numpy(np.stack(points)).float()
        if kind == "centroid":
            wanted = wanted[:, :1]
        given = torch.from_numpy(np.stack(pictures)).float()[:, None] / 255
        output = tracker.model(given)
        if kind == "bottomup":
            loss = _loss_of_several(output, wanted, size)
        else:
            target = generate_confmaps(wanted, size, 1.5, 2)
            output = next(iter(output.values())) if isinstance(output, dict) else output
            loss = ((output - target) ** 2 * (0.1 + target)).mean()
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1, 2 - 2 * turn / rounds)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _loss_of_several(output, wanted, size):
    import torch
    from sleap_nn.data.confidence_maps import generate_multiconfmaps
    from sleap_nn.data.edge_maps import generate_pafs

    places = [[SEVERAL_PARTS.index(part) for part in edge] for edge in SEVERAL_EDGES]
    edges = torch.tensor(places)
    maps, fields = [], []
    for points in wanted:
        several = {"instances": points[None], "img_hw": size}
        maps.append(
            generate_multiconfmaps(
                **several, num_instances=len(points), sigma=1.5, output_stride=2
            )
        )
        how = {"sigma": 4.0, "output_stride": 4, "edge_inds": edges}
        fields.append(generate_pafs(**several, **how, flatten_channels=True))
    target, lines = torch.cat(maps), torch.stack(fields)
    off = (output["MultiInstanceConfmapsHead"] - target) ** 2 * (0.1 + target)
    return off.mean() + 0.05 * ((output["PartAffinityFieldsHead"] - lines) ** 2).mean()


def _export(folder, name, parts):
    out = folder / f"sleap_nn_{name}"
    models = [str(folder / part) for part in parts]
    words = ["--output", str(out), "--format", "onnx", "--max-instances", "3"]
    height, width = (CROP, CROP) if name == "windows" else (HEIGHT, WIDTH)
    words += ["--input-height", str(height), "--input-width", str(width)]
    program = Path(sys.executable).with_name("sleap-nn")
    subprocess.run([str(program), "export", *models, *words], check=True)
    rng = np.random.default_rng(7)
    if name == "bottom_up":
        drawings = [drawn_animals(rng, 1 + index % 3) for index in range(12)]
    else:
        draw = _around_snout if name == "windows" else drawn
        drawings = [draw(rng) for _ in range(12)]
    pictures = np.stack([picture for picture, _ in drawings])
    points, sure = _theirs(folder, name, models, pictures)
    if name != "bottom_up":
        points, sure = points[:, 0], sure[:, 0]
    frames = np.repeat(pictures[..., None], 3, axis=3)
    np.savez_compressed(
        out / "reference.npz",
        points=np.asarray(points, np.float32),
        confidences=np.asarray(sure, np.float32),
        **{f"truth{index}": points for index, (_, points) in enumerate(drawings)},
        **{f"frame{index}": frame for index, frame in enumerate(frames)},
    )
    archived(out)


def _theirs(folder, name, models, pictures):
    """Return points (n, animal, part, 2) and confidences, as SLEAP-NN itself says."""
    from sleap_nn.inference.predictor import Predictor

    if name == "windows":
        both = [str(folder / "centroid"), *models]
        layer = Predictor.from_model_paths(both).layer.centered_instance_layer
        found = [layer.predict(one[None, None]) for one in pictures]
    else:
        predictor = Predictor.from_model_paths(models, max_instances=3)
        found = predictor.predict(pictures[..., None], make_labels=False)
    parts = pictures.shape[0], -1, *found[0].pred_keypoints.shape[-2:-1]
    points = np.concatenate([np.asarray(one.pred_keypoints) for one in found])
    sure = np.concatenate([np.asarray(one.pred_peak_values) for one in found])
    return points.reshape(*parts, 2), sure.reshape(parts)


if __name__ == "__main__":
    main()
