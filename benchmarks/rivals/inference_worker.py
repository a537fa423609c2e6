"""A rival's own network on a simulated mouse, trained and timed in the rival's own environment.

Started by inference.py with that environment's Python; it imports nothing of ours. The first
time, the network learns for STEPS steps from the drawn crops in FOLDER; what it learned
is kept in WEIGHTS. It leaves the network in FOLDER in the rival's own format, and prints
one line of JSON: ms per frame from image to points on one thread, and the points.

    inference_worker.py RIVAL FOLDER SECONDS WEIGHTS STEPS
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

PARTS = ["snout", "leftear", "rightear", "tailbase"]
BATCH = 8
STRIDE, SIGMA = 2, 2.0  # of SLEAP-NN's maps; sigma in cells
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main():
    """Train once, build, run, print."""
    import torch

    rival, folder = sys.argv[1], Path(sys.argv[2])
    frames = np.load(folder / "frames.npy")
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    call = {"dlc-live": _dlc_live, "sleap-nn": _sleap_nn}[rival](folder, frames)
    torch.set_num_threads(1)
    with torch.no_grad():
        points = [call(frame) for frame in frames]
        spent, end = [], time.perf_counter() + float(sys.argv[3])
        while len(spent) < 3 or time.perf_counter() < end:
            began = time.perf_counter()
            call(frames[len(spent) % len(frames)])
            spent.append((time.perf_counter() - began) * 1e3)
    told = {"ms": spent, "points": np.asarray(points, float).tolist()}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


def _learned(model, folder, loss):
    """Give the model its weights: those that are kept, or learned now.

    `loss` takes grey crops (n, side, side) as float from 0 to 1 and points (n, part, 2).
    """
    import torch

    weights, steps = Path(sys.argv[4]), int(sys.argv[5])
    if weights.is_file():
        model.load_state_dict(torch.load(weights, weights_only=True))
        model.eval()
        return
    _spread(model)
    crops = np.load(folder / "crops.npz")
    rng = np.random.default_rng(0)
    model.train()
    step = torch.optim.AdamW(model.parameters(), 1e-3)
    slower = torch.optim.lr_scheduler.OneCycleLR(step, 2e-3, steps + 1)
    for number in range(steps):
        some = rng.integers(0, len(crops["pictures"]), BATCH)
        grey = torch.from_numpy(crops["pictures"][some][..., 0]).float() / 255
        each = loss(grey, torch.from_numpy(crops["points"][some]))
        step.zero_grad()
        each.backward()
        step.step()
        slower.step()
        if number % 25 == 24:
            sys.stderr.write(f"step {number + 1}, loss {float(each.detach()):.5f}\n")
    model.eval()
    weights.parent.mkdir(parents=True, exist_ok=True)
    draft = weights.with_suffix(f".{os.getpid()}")
    torch.save(model.state_dict(), draft)
    draft.replace(weights)


def _spread(model):
    """Give random weights that keep values in range from layer to layer."""
    import torch

    for name, weights in model.named_parameters():
        if weights.ndim >= 2:
            torch.nn.init.kaiming_normal_(weights)
            weights.data *= 0.05 if "head" in name.lower() else 1


def _dlc_live(folder, frames):
    """Run DeepLabCut 3's ResNet-50 with heat maps and offsets, BatchNorm, by DLC-Live."""
    import torch
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel
    from dlclive import DLCLive

    project = {
        "Task": "rival", "scorer": "nobody", "date": "Nov1", "bodyparts": PARTS,
        "multianimalproject": False, "project_path": str(folder), "skeleton": [],
        "engine": "pytorch", "TrainingFraction": [0.95], "iteration": 0,
        "default_net_type": "resnet_50", "identity": False, "video_sets": {},
    }  # fmt: skip
    config = PoseConfig.build(
        project, folder / "pytorch_config.yaml", net_type="resnet_50",
        top_down=False, multi_animal=False,
    ).to_dict(normalize=True)  # fmt: skip
    config["model"]["backbone"]["model_name"] = "resnet50"
    config["metadata"]["project_path"] = config["metadata"]["pose_config_path"] = None
    config["model"]["backbone"]["freeze_bn_stats"] = False
    config["model"]["backbone"]["freeze_bn_weights"] = False
    model = PoseModel.build(dict(PoseConfig.from_any(config)["model"]))
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))

    def loss(grey, points):
        found = model((grey[:, None].expand(-1, 3, -1, -1) - mean) / std)
        seen = torch.full((*points.shape[:2], 1), 2.0)
        labels = {"keypoints": torch.cat([points, seen], dim=2)[:, None]}
        targets = model.get_target(found, labels)
        return model.get_loss(found, targets)["total_loss"]

    _learned(model, folder, loss)
    torch.save({"config": config, "pose": model.state_dict()}, folder / "exported.pt")
    live = DLCLive(folder / "exported.pt", model_type="pytorch", device="cpu")
    live.init_inference(frames[0])
    return lambda frame: np.asarray(live.get_pose(frame))[:, :2]


def _sleap_nn(folder, frames):
    """Run a U-Net of 16 filters to stride 2, one animal, by SLEAP-NN's own predictor."""
    import lightning.pytorch as pl
    import torch
    from omegaconf import OmegaConf
    from sleap_nn.config import model_config as words
    from sleap_nn.config.training_job_config import TrainingJobConfig
    from sleap_nn.inference.predictor import Predictor
    from sleap_nn.training.lightning_modules import SingleInstanceLightningModule

    job = TrainingJobConfig()
    job.model_config.backbone_config.unet = words.UNetConfig(
        in_channels=1, filters=16, filters_rate=2.0, max_stride=16, output_stride=STRIDE
    )
    maps = words.SingleInstanceConfMapsConfig(
        part_names=PARTS, sigma=SIGMA, output_stride=STRIDE
    )
    heads = job.model_config.head_configs
    heads.single_instance = words.SingleInstanceConfig(confmaps=maps)
    nodes = [{"name": part} for part in PARTS]
    skeleton = {"name": "mouse", "nodes": nodes, "edges": [], "symmetries": []}
    job.data_config.skeletons = [skeleton]
    config = job.to_sleap_nn_cfg()
    OmegaConf.save(config, folder / "training_config.yaml")
    module = SingleInstanceLightningModule(
        model_type="single_instance",
        backbone_type="unet",
        backbone_config=config.model_config.backbone_config,
        head_configs=config.model_config.head_configs,
        lr_scheduler=config.trainer_config.lr_scheduler,
    )

    def maps_of(grey):
        maps = module.model(grey[:, None])
        return next(iter(maps.values())) if isinstance(maps, dict) else maps

    def loss(grey, points):
        maps = maps_of(grey)
        x = torch.arange(maps.shape[3]) - points[..., :1] / STRIDE
        y = torch.arange(maps.shape[2]) - points[..., 1:] / STRIDE
        x, y = (torch.exp(-(each**2) / (2 * SIGMA**2)) for each in (x, y))
        wanted = y[..., :, None] * x[..., None, :]
        return ((1 + 20 * wanted) * (maps - wanted) ** 2).mean()

    _learned(module.model, folder, loss)
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0
    )
    trainer.strategy.connect(module)
    trainer.save_checkpoint(folder / "best.ckpt", weights_only=True)
    predictor = Predictor.from_model_paths(
        [str(folder)], batch_size=1, peak_threshold=0.0
    )

    def call(frame):
        grey = frame[None, ..., :1]
        (found,) = predictor.predict(grey, make_labels=False)
        return found.pred_keypoints[0, 0].numpy()

    return call


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rival", choices=("dlc-live", "sleap-nn"))
    parser.add_argument("folder", help="with frames.npy and crops.npz")
    parser.add_argument("seconds", type=float)
    parser.add_argument("weights", help="file that is made when it is missing")
    parser.add_argument("steps", type=int)
    parser.parse_known_args()
    try:
        main()
    except ModuleNotFoundError as error:
        parser.exit(
            2, f"{sys.executable} has no package {error.name}: install {sys.argv[1]}\n"
        )
