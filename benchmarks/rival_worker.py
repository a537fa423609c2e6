"""A rival's own network on a drawn frame, timed in the rival's own environment.

Started by rivals.py with that environment's Python; it imports nothing of ours. It leaves
the network in FOLDER in the rival's own format, and prints one line of JSON: ms per frame
from picture to points on one thread, and the points in each frame.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

PARTS = [f"part{n}" for n in range(8)]


def main():
    """Build, run, print."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rival, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    frames = np.load(folder / "frames.npy")
    call = (
        _dlc_live(folder, frames) if rival == "dlc-live" else _sleap_nn(folder, frames)
    )
    with torch.no_grad():
        points = [call(frame) for frame in frames]
        spent, end = [], time.perf_counter() + seconds
        while len(spent) < 3 or time.perf_counter() < end:
            began = time.perf_counter()
            call(frames[len(spent) % len(frames)])
            spent.append((time.perf_counter() - began) * 1e3)
    told = {"ms": spent, "points": np.asarray(points, float).tolist()}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


def _spread(model):
    """Give random weights that keep values in range from layer to layer."""
    import torch

    for name, weights in model.named_parameters():
        if weights.ndim >= 2:
            torch.nn.init.kaiming_normal_(weights)
            weights.data *= 0.05 if "head" in name else 1


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
    model = PoseModel.build(dict(PoseConfig.from_any(config)["model"]))
    _spread(model)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(2.0)
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
        in_channels=1, filters=16, filters_rate=2.0, max_stride=16, output_stride=2
    )
    maps = words.SingleInstanceConfMapsConfig(
        part_names=PARTS, sigma=2.0, output_stride=2
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
    _spread(module)
    with torch.no_grad():  # maps up to 0.9, as those of trained networks
        given = torch.from_numpy(frames[:1, None, ..., 0]).float() / 255
        maps = module.model(given)
        maps = next(iter(maps.values())) if isinstance(maps, dict) else maps
        for name, weights in module.named_parameters():
            if "head" in name:
                weights *= 0.9 / float(maps.max())
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
    main()
