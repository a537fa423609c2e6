"""Make a network of DeepLabCut 3 ready for utils/ImportModel.py of DeepLabStream.

Run where DeepLabCut 3 is installed, with `pip install onnx`, on the folder that holds
`pytorch_config.yaml` and the snapshots, on one snapshot, or on an exported .pt file:

    python from_deeplabcut3.py .../dlc-models-pytorch/.../train --size 640x480 --output mine

SIZE is the size at which videos are analysed; top-down networks have their own. With
`--video`, the pictures that show the outcome to be the same are of that video. Copy this
folder of scripts to that computer; nothing else of DeepLabStream is needed.
"""

import argparse
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from package import export, new_folder, pictures_of, save, size_of


def main():
    """Write the folder."""
    options = _options()
    config, weights, name = _read(options.source, options.trust)
    from deeplabcut import __version__
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    config = PoseConfig.from_any(config)
    names = [str(part) for part in config["metadata"]["bodyparts"]]
    if len(config["metadata"]["individuals"]) > 1 and not _top_down(config):
        sys.exit(f"{name} sees several animals at once, which can't be taken over")
    model = PoseModel.build(dict(config["model"])).eval()
    model.load_state_dict(weights)
    head = model.heads["bodypart"]
    width, height = _size(config, options.size)
    stride = model.get_stride("bodypart")
    how, module, outputs = _reading(head.predictor, model, stride)
    folder = new_folder(options.output)
    export(module, width, height, outputs, folder)
    words = {
        "bodyparts": names,
        "input": {"layout": "NCHW", "width": width, "height": height}
        | _normalisation(config),
        **how,
        "threshold": 0.6,
        "pictures": "own" if options.video else "drawn",
        "source": f"DeepLabCut {__version__}, {_word(config['net_type'])}, {name}",
    }
    pictures = pictures_of(options.video, width, height)
    save(folder, words, (pictures, *_their_poses(config, weights, pictures)))
    return 0


def _options():
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", default="", help="WIDTHxHEIGHT of analysed pictures")
    parser.add_argument("--video", type=Path, help="one that the network was made for")
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder to write"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="open a file that may run a program: only one of your own",
    )
    return parser.parse_args()


def _read(source, trust):
    """Return configuration, weights and the file's name."""
    file = source if source.is_file() else _best(source)
    try:
        content = torch.load(file, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError:
        sys.exit(f"{file} holds more than numbers; --trust opens it, if it is your own")
    if "config" in content:
        return content["config"], content["pose"], file.name
    import yaml

    with (file.parent / "pytorch_config.yaml").open(encoding="utf-8") as stream:
        return yaml.safe_load(stream), content["model"], file.name


def _best(folder):
    """Return the snapshot that was the best, else the last one."""
    found = [f for f in folder.glob("snapshot-*.pt") if "detector" not in f.name]
    if not found:
        sys.exit(f"{folder} has no snapshot-*.pt in it")
    return max(found, key=lambda f: ("best" in f.name, int(f.stem.split("-")[-1])))


def _top_down(config):
    return _word(config["method"]).lower() == "td"


def _word(value):
    """Return an enumeration's own word."""
    return str(getattr(value, "value", value))


def _size(config, words):
    """Return width and height of the network's input."""
    if _top_down(config):
        crop = config["data"]["inference"].get("top_down_crop") or {}
        return int(crop.get("width", 256)), int(crop.get("height", 256))
    if not words:
        sys.exit("--size WIDTHxHEIGHT is needed: of the pictures that are analysed")
    width, height = size_of(words)
    return width // 32 * 32, height // 32 * 32


def _normalisation(config):
    """Return what is done to pixels, 0 to 255, before the network."""
    said = config["data"]["inference"]
    colour = str(config["data"].get("colormode", "RGB"))
    if said.get("normalize_images", True):
        mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]) * 255
        return {"colour": colour, "mean": mean.tolist(), "std": std.tolist()}
    scale = 255.0 if said.get("scale_to_unit_range") else 1.0
    return {"colour": colour, "mean": [0.0], "std": [scale]}


def _reading(predictor, model, stride):
    """Return how points are read, what computes, and its outputs' names."""
    kind = type(predictor).__name__
    if kind == "HeatmapPredictor" and predictor.location_refinement:
        how = {
            "scores": "heatmap",
            "offsets": "locref",
            "values": "logits" if predictor.apply_sigmoid else "probabilities",
            "stride": int(stride),
            "origin": stride / 2,
            "scale": float(predictor.locref_std),
        }
        return {"offsets": how}, _Maps(model), ["heatmap", "locref"]
    if kind == "SimCCPredictor":
        how = {"output": "points", "confidences": "confidences"}
        return {"coordinates": how}, _Axes(model, predictor), ["points", "confidences"]
    sys.exit(f"how {kind} reads points can't be taken over")


class _Maps(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, picture):
        outputs = self.model(picture)["bodypart"]
        return outputs["heatmap"], outputs["locref"]


class _Axes(torch.nn.Module):
    """One row of values along x and one along y for each body part (SimCC)."""

    def __init__(self, model, predictor):
        super().__init__()
        self.model, self.how = model, predictor

    def forward(self, picture):
        outputs = self.model(picture)["bodypart"]
        places, heights = [], []
        for row, sigma in zip(
            (outputs["x"], outputs["y"]), self.how.sigma, strict=True
        ):
            if self.how.normalize_outputs:
                row = row.clamp(min=0)
                highest = row.amax(dim=-1, keepdim=True)
                row = torch.where(highest > 1, row / highest, row)
            else:
                row = row * float(sigma * self.how.decode_beta)
            if self.how.apply_softmax:
                row = row.softmax(dim=-1)
            height, place = row.max(dim=-1)
            places.append(place.float() / float(self.how.simcc_split_ratio))
            heights.append(height)
        return torch.stack(places, -1), torch.minimum(*heights)


def _their_poses(config, weights, pictures):
    """Return the points (n, part, 2) and confidences that DeepLabCut itself gives."""
    from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner

    height, width = pictures.shape[1:3]
    rgb = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
    if _top_down(config):
        rgb = [(one, {"bboxes": np.array([[0.0, 0.0, width, height]])}) for one in rgb]
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot.pt"
        torch.save({"model": weights}, snapshot)
        runner = get_pose_inference_runner(
            config, snapshot, device="cpu", max_individuals=1
        )
        found = np.stack([each["bodyparts"][0] for each in runner.inference(rgb)])
    return found[..., :2], found[..., 2]


if __name__ == "__main__":
    sys.exit(main())
