"""Export a model of Lightning Pose for utils/ImportModel.py of DeepLabStream.

Run where Lightning Pose is installed, with `pip install onnx`, on the model's folder,
which holds `config.yaml` and the checkpoint:

    python from_lightning_pose.py outputs/2026-11-21/10-58-55 --output mine

Of a context model (heatmap_mhcrnn), a rig gets the head that needs one frame, as frames to
come are not there yet; whole videos get both heads (`context/`). With `--video`, the images
that show the outcome to be the same are of that video. Copy this folder of scripts to that
computer; nothing else of DeepLabStream is needed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from package import export, following, frames_of, new_folder, other_sizes, save

MEAN, STD = (np.array(v) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def main():
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--video", type=Path, help="one that the network was made for")
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder to write"
    )
    options = parser.parse_args()
    config, kind = _configured(options.source)
    tracker, backbone = _loaded(options.source, config), str(config.model.backbone)
    size = config.data.image_resize_dims
    width, height = int(size.width), int(size.height)
    if kind == "regression":
        module, how = tracker, {"coordinates": {"output": "out", "scale": [1.0, 1.0]}}
    else:
        stride = 2 ** int(config.data.get("downsample_factor", 2))
        maps = {"output": "out", "values": "mass", "stride": stride}
        how = {"heatmaps": {**maps, "sigma": 1.25, "origin": 0.0}}
        module = _OneFrame(tracker) if kind == "heatmap_mhcrnn" else tracker
    frames = frames_of(options.video, other_sizes(width, height))
    folder = new_folder(options.output)
    export(module, width, height, ["out"], folder)
    description = {
        "bodyparts": [str(name) for name in config.data.keypoint_names],
        "input": {
            "layout": "NCHW",
            "width": width,
            "height": height,
            "colour": "RGB",
            "mean": (MEAN * 255).tolist(),
            "std": (STD * 255).tolist(),
            "fit": "stretch",
            "sampling": "linear",
            "align": "corner",
        },
        **how,
        "threshold": 0.5,
        "pictures": "own" if options.video else "drawn",
        "source": f"Lightning Pose, {kind}, {backbone}",
    }
    if kind == "heatmap_mhcrnn":
        found = _their_poses_without_context(tracker, module, frames, (height, width))
    else:
        found = _their_poses(options.source, frames)
    if kind == "heatmap_mhcrnn":
        clip = following(options.video, (width, height))
        inner = new_folder(folder / "context")
        export(_Context(tracker), width, height, ["out"], inner)
        theirs = _their_poses_in_context(tracker, clip, (height, width))
        save(inner, description | {"frames": 5}, (clip, *theirs))
    save(folder, description, (frames, *found))
    return 0


def _configured(folder):
    """Return the configuration and the kind of model."""
    from omegaconf import OmegaConf

    try:
        config = OmegaConf.load(folder / "config.yaml")
    except OSError as error:
        sys.exit(f"{folder} is not a model's folder: {error}")
    kind = str(config.model.model_type)
    if kind not in ("regression", "heatmap", "heatmap_mhcrnn"):
        sys.exit(
            f"{folder}: a {kind} model needs images of several cameras at once and can't "
            "be imported; train a heatmap model, which needs one"
        )
    return config, kind


def _loaded(folder, config):
    """Return the model as Lightning Pose loads it."""
    from lightning_pose.api.model_runtime import load_model_from_checkpoint

    found = sorted(folder.rglob("*.ckpt"), key=lambda file: file.stat().st_mtime)
    best = [file for file in found if file.name.endswith("-best.ckpt")] or found
    if not best:
        sys.exit(f"{folder} has no .ckpt file in it")
    tracker = load_model_from_checkpoint(
        config, str(best[-1]), eval=True, skip_data_module=True
    )
    return tracker.eval().cpu()


class _OneFrame(torch.nn.Module):
    """Single-frame head of a context model."""

    def __init__(self, tracker):
        super().__init__()
        self.backbone, self.head = tracker.backbone, tracker.head.head_sf

    def forward(self, image):
        return self.head(self.backbone(image))


class _Context(torch.nn.Module):
    """Both heads of a context model, for images that follow each other.

    Of each body part it gives the map of the head that Lightning Pose takes. At the ends of
    a video Lightning Pose repeats the first and the last pose that has two frames on both
    sides.
    """

    def __init__(self, tracker):
        super().__init__()
        self.backbone, self.head = tracker.backbone, tracker.head

    def forward(self, images):
        features = self.backbone(images)
        count = images.shape[0]
        last = torch.arange(count, device=images.device)[-1]
        middle = torch.arange(count, device=images.device)
        middle = torch.minimum(middle, last - 2).clamp(min=2)
        around = [torch.minimum(middle + by, last) for by in range(-2, 3)]
        alone = self.head.head_sf(features[torch.minimum(middle, last)])
        together = self.head.head_mf(torch.stack([features[at] for at in around]))
        sure = [self.head.run_subpixelmaxima(maps)[1] for maps in (alone, together)]
        return torch.where((sure[1] > sure[0])[..., None, None], together, alone)


def _their_poses_in_context(tracker, frames, size):
    """Return points (n, part, 2) and confidences of frames that follow each other."""
    from lightning_pose.data.bboxes import full_frame_bbox
    from lightning_pose.data.video.utils import normalize_frames

    rgb = [torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])) for frame in frames]
    x = normalize_frames(torch.stack(rgb).permute(0, 3, 1, 2), list(size))
    box = full_frame_bbox(*frames[0].shape[:2], len(frames), "cpu")
    batch = {"frames": x, "bbox": box, "is_multiview": False}
    with torch.no_grad():
        places, sure = (
            prediction.numpy() for prediction in tracker.predict_step(batch, 0)
        )
    missing = len(frames) - len(places)
    if missing:  # as its PredictionHandler does
        at = np.clip(np.arange(len(frames)) - missing // 2, 0, len(places) - 1)
        places, sure = places[at], sure[at]
    else:
        at = np.clip(np.arange(len(frames)), 2, len(frames) - 3)
        places, sure = places[at], sure[at]
    return places.reshape(len(frames), -1, 2), sure


def _their_poses(source, frames):
    """Return Lightning Pose's points (n, part, 2) and confidences for frames."""
    from lightning_pose.api import Model

    model = Model.from_dir(source)
    if not hasattr(model, "predict_frame"):
        sys.exit(
            "this needs Lightning Pose 2.4 or newer: pip install -U lightning-pose"
        )
    found = [
        model.predict_frame(np.ascontiguousarray(frame[..., ::-1])) for frame in frames
    ]
    points = np.stack([prediction["keypoints"] for prediction in found])
    return points, np.stack([prediction["confidence"] for prediction in found])


def _their_poses_without_context(tracker, module, frames, size):
    """Return the same of a context model's head for one frame, by Lightning Pose's parts.

    Lightning Pose itself predicts a frame from five, with both of its heads.
    """
    from lightning_pose.data.bboxes import full_frame_bbox, model_to_frame_batch
    from lightning_pose.data.video.utils import normalize_frames

    points, sure = [], []
    for frame in frames:
        rgb = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1]))
        x = normalize_frames(rgb.permute(2, 0, 1)[None], list(size))
        box = full_frame_bbox(*frame.shape[:2], 1, "cpu")
        with torch.no_grad():
            place, height = tracker.head.run_subpixelmaxima(module(x))
            place = model_to_frame_batch({"frames": x, "bbox": box}, place)
        points.append(place.reshape(-1, 2).numpy())
        sure.append(height[0].numpy())
    return np.stack(points), np.stack(sure)


if __name__ == "__main__":
    sys.exit(main())
