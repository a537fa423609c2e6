r"""Export a network of DeepLabCut 3 for utils/ImportModel.py of DeepLabStream.

Run where DeepLabCut 3 is installed, with `pip install onnx`, on the folder that holds
`pytorch_config.yaml` and the snapshots, on one snapshot, or on an exported .pt file:

    python from_deeplabcut3.py .../dlc-models-pytorch/.../train --size 640x480 --output mine

SIZE is the size at which videos are analysed; a top-down network has a window of its own
size as input, its detector (SSDLite, Faster R-CNN) images of SIZE. With `--video`,
the images for the comparison are of that video. A SuperAnimal is named,
and DeepLabCut fetches its weights; or the folder is given that holds the files of them.
Its Faster R-CNN finds nothing in drawn images, so it needs a video of such animals:

    python from_deeplabcut3.py superanimal_quadruped --size 640x480 --video dogs.mp4 \
        --output quadruped

Copy this folder of scripts to that computer; nothing else of DeepLabStream is needed.
"""

import argparse
import contextlib
import math
import sys
import tempfile
from pathlib import Path

import deeplabcut3_centres as centres
import deeplabcut3_detectors as detectors
import deeplabcut3_superanimals as super_animals
import numpy as np
import torch
from deeplabcut3_detectors import normalisation
from package import (
    export,
    frames_of,
    licence_beside,
    loaded,
    native_sizes,
    new_folder,
    save,
    size_of,
)


def main():
    """Write the folder."""
    options = _options()
    detector = None
    licence = licence_beside(options.source) if options.source.exists() else ""
    if dataset := super_animals.dataset_of(options.source):
        (config, weights, name), detector = super_animals.opened(dataset, options)
        licence = licence or f"see {super_animals.PAGES[dataset]}"
    else:
        config, weights, name = _read(options.source, options.trust)
    from deeplabcut import __version__
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    config = PoseConfig.from_any(config)
    names = [str(part) for part in config["metadata"]["bodyparts"]]
    options.animals = options.animals or len(config["metadata"]["individuals"])
    if _word(config["method"]).lower() not in ("bu", "td"):
        sys.exit(
            f"{name} needs another network's poses beside each image, which can't be "
            "imported; train one that needs only images"
        )
    model = PoseModel.build(dict(config["model"])).eval()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()[:200]
        sys.exit(f"{name} does not fit its pytorch_config.yaml: {reason}")
    head = model.heads["bodypart"]
    width, height = _size(config, options.size)
    stride = model.get_stride("bodypart")
    how, module, outputs = _reading(head.predictor, model, stride, names)
    frames = _frames(config, options.video, width, height)
    folder = new_folder(options.output)
    if _top_down(config):
        detectors.take_over(config, options, folder / "detector", detector)
    with _plain_enlarging(), centres.plain_deforming():
        export(module, width, height, outputs, folder, any_size="centres" in how)
    description = {
        "bodyparts": names,
        "input": {"layout": "NCHW", "width": width, "height": height}
        | normalisation(config["data"])
        | (_WINDOW if _top_down(config) else {"fit": "native"}),
        "threshold": 0.6,
        "left_out": [str(p) for p in config["metadata"]["unique_bodyparts"]],
        **how,
        "pictures": "own" if options.video else "drawn",
        "source": f"DeepLabCut {__version__}, {_word(config['net_type'])}, {name}",
        "licence": licence,
    }
    most = getattr(head.predictor, "num_animals", None) or 1
    save(folder, description, (frames, *_their_poses(config, weights, frames, most)))
    return 0


_WINDOW = {"fit": "letterbox", "rest": 0, "sampling": "linear", "align": "corner"}
"""How DeepLabCut fits a window to the size of a top-down network."""


def _frames(config, video, width, height):
    """Return original frames; for a network of windows, frames that fill its input."""
    if not _top_down(config):
        return frames_of(video, native_sizes(width, height))
    sizes = [
        (width, height),
        (2 * width, 2 * height),
        (3 * width // 2, 3 * height // 2),
    ]
    frames = frames_of(video, sizes)
    scale = [min(f.shape[1] // width, f.shape[0] // height) for f in frames]
    return (
        [
            f
            if not times
            else np.ascontiguousarray(f[: times * height, : times * width])
            for f, times in zip(frames, scale, strict=True)
            if times
        ]
        if video
        else frames
    )


def _options():
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", default="", help="WIDTHxHEIGHT of analysed frames")
    parser.add_argument("--video", type=Path, help="one that the network was made for")
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder to write"
    )
    parser.add_argument(
        "--animals",
        type=int,
        default=0,
        help="animals that the detector finds (default: those of the project; 1)",
    )
    for which, usual in (
        ("pose", super_animals.POSE),
        ("detector", super_animals.DETECTOR),
    ):
        parser.add_argument(
            f"--{which}",
            default="",
            help=f"of a SuperAnimal (default: {usual}, else the first there is)",
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
    content = loaded(file, trust)
    if "config" in content:
        return content["config"], content["pose"], file.name
    import yaml

    config_file = file.parent / "pytorch_config.yaml"
    if not config_file.is_file():
        sys.exit(f"{file}: {config_file.name}, its configuration, is missing beside it")
    if "model" not in content:
        sys.exit(f"{file} is not a snapshot of DeepLabCut 3")
    with config_file.open(encoding="utf-8") as stream:
        return yaml.safe_load(stream), content["model"], file.name


def _best(folder):
    """Return the best snapshot, or the last one."""
    found = [f for f in folder.glob("snapshot-*.pt") if "detector" not in f.name]
    if not found:
        sys.exit(f"{folder} has no snapshot-*.pt in it")
    return max(found, key=lambda f: ("best" in f.name, f.stem.split("-")[-1].zfill(9)))


def _top_down(config):
    return _word(config["method"]).lower() == "td"


def _word(value):
    """Return an enumeration's own word."""
    return str(getattr(value, "value", value))


def _size(config, size):
    """Return width and height of the network's input."""
    if _top_down(config):
        crop = config["data"]["inference"].get("top_down_crop") or {}
        return int(crop.get("width", 256)), int(crop.get("height", 256))
    if not size:
        sys.exit("--size WIDTHxHEIGHT is needed: of the images that are analysed")
    return size_of(size, 32)


def _reading(predictor, model, stride, names):
    """Return how points are decoded, the module that computes, and its outputs' names."""
    kind = type(predictor).__name__
    if kind == "SimCCPredictor":
        how = {"output": "points", "confidences": "confidences"}
        return {"coordinates": how}, _Axes(model, predictor), ["points", "confidences"]
    if kind == "DEKRPredictor":
        return centres.reading(predictor, model, stride)
    how = {"scores": "heatmap", "offsets": "locref", "stride": int(stride)}
    how |= {"values": "probabilities", "origin": float(stride) // 2}
    if kind == "PartAffinityFieldPredictor":
        how["scale"] = float(predictor.locref_stdev)
        edges = [predictor.graph[place] for place in predictor.edges_to_keep]
        animals = {
            "fields": "paf",
            "edges": [[names[one], names[other]] for one, other in edges],
            "most": int(predictor.num_animals),
            "floor": 0.1,
            "link": 0.1,
            # its cells are large, and its fields become weak towards their ends
            "worst": 10,
        }
        module = _Fields(model, predictor)
        threshold = round(0.6 * _left(model, predictor, stride), 2)
        how = {"offsets": how, "animals": animals, "threshold": threshold}
        return how, module, ["heatmap", "locref", "paf"]
    if kind == "HeatmapPredictor":
        how["values"] = "logits" if predictor.apply_sigmoid else "probabilities"
        how |= {"origin": stride / 2, "scale": float(predictor.locref_std)}
        module = _Maps(model, predictor.location_refinement)
        return {"offsets": how}, module, ["heatmap", "locref"]
    sys.exit(f"how {kind} reads points can't be taken over")


def _left(model, predictor, stride):
    """Return the height of the target discs after smoothing."""
    maps = model.heads["bodypart"].target_generator.generators[0]
    reach = maps.dist_thresh / float(stride) / float(predictor.sigma)
    return 1 - math.exp(-(reach**2) / 2)


@contextlib.contextmanager
def _plain_enlarging():
    """Disable antialiasing in DLCRNet's upsampling, which ONNX lacks.

    It is of no effect where maps grow, and its maps grow by a cell or two.
    """
    from deeplabcut.pose_estimation_pytorch.models.backbones import resnet

    def enlarged(maps, size, antialias=True):
        if maps.shape[-2] > size[0] or maps.shape[-1] > size[1]:
            sys.exit("its maps shrink on the way, which can't be exported as ONNX")
        return torch.nn.functional.interpolate(maps, size, mode="bilinear")

    theirs, resnet.resize = resnet.resize, enlarged
    try:
        yield
    finally:
        resnet.resize = theirs


class _Maps(torch.nn.Module):
    """Scores and offsets; a network without offsets has its points in whole cells."""

    def __init__(self, model, refined):
        super().__init__()
        self.model, self.refined = model, refined

    def forward(self, image):
        outputs = self.model(image)["bodypart"]
        scores = outputs["heatmap"]
        if self.refined:
            return scores, outputs["locref"]
        return scores, torch.cat([scores, scores], dim=1) * 0


class _Fields(torch.nn.Module):
    """Fields of several animals: smoothed scores, offsets, and the fields in use."""

    def __init__(self, model, predictor):
        super().__init__()
        self.model, self.how = model, predictor
        side = 2 * predictor.nms_radius + 1
        kernel = predictor.make_2d_gaussian_kernel(sigma=predictor.sigma, size=side)
        self.parts = int(predictor.num_multibodyparts)
        self.register_buffer("kernel", kernel.repeat(self.parts, 1, 1, 1))
        kept = [[2 * edge, 2 * edge + 1] for edge in predictor.edges_to_keep]
        self.register_buffer("kept", torch.tensor(kept).reshape(-1))

    def forward(self, image):
        outputs = self.model(image)["bodypart"]
        scores = outputs["heatmap"]
        if self.how.apply_sigmoid:
            scores = scores.sigmoid()
        scores = torch.nn.functional.conv2d(
            scores, self.kernel, padding=self.how.nms_radius, groups=self.parts
        )
        return scores, outputs["locref"], outputs["paf"].index_select(1, self.kept)


class _Axes(torch.nn.Module):
    """One row of values along x and one along y for each body part (SimCC)."""

    def __init__(self, model, predictor):
        super().__init__()
        self.model, self.how = model, predictor

    def forward(self, image):
        outputs = self.model(image)["bodypart"]
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


def _their_poses(config, weights, frames, most):
    """Return the points that DeepLabCut itself gives, and confidences.

    They are (n, part, 2) and (n, part), of several animals (n, animal, part, 2) …; NaN
    where it sees nothing.
    """
    from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner

    rgb = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    if _top_down(config):
        whole = [(0.0, 0.0, float(one.shape[1]), float(one.shape[0])) for one in rgb]
        boxes = [{"bboxes": np.array([box])} for box in whole]
        rgb = list(zip(rgb, boxes, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot.pt"
        torch.save({"model": weights}, snapshot)
        runner = get_pose_inference_runner(
            config, snapshot, device="cpu", max_individuals=most
        )
        found = np.stack([pose["bodyparts"] for pose in runner.inference(rgb)])
    points, sure = found[..., :2], found[..., 2]
    unseen = ~(sure > 0)
    points[unseen], sure[unseen] = np.nan, 0
    return (points, sure) if most > 1 else (points[:, 0], sure[:, 0])


if __name__ == "__main__":
    sys.exit(main())
