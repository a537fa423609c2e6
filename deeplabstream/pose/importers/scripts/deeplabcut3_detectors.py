"""Detectors of DeepLabCut 3: the windows for a top-down network.

Used by from_deeplabcut3.py: SSDLite here, Faster R-CNN in deeplabcut3_faster_rcnn.py.
"""

import tempfile
from pathlib import Path

import deeplabcut3_faster_rcnn as faster_rcnn
import numpy as np
import torch
from package import export, frames_of, loaded, new_folder, other_sizes, save, size_of

CORNERS = ["box left top", "box right bottom"]
"""Names of the two corners of a box in DeepLabStream."""


@faster_rcnn.nothing_fetched()
def take_over(config, options, folder, weights):
    """Write the folder of the detector beside the network, if there is one.

    `weights` and the name of their file; None: searched beside the network.
    """
    found = weights or _weights(options.source, options.trust)
    if found is None:
        print("there is no detector beside it: name one as DETECTOR in the settings")
        return
    weights, name = found
    kind = str(config["detector"]["model"]["type"])
    if kind not in ("SSDLite", "FasterRCNN"):
        print(
            f"{name} is a {kind}, which can't be taken over; SSDLite and FasterRCNN can: "
            "name a network that finds the animal as DETECTOR in the settings"
        )
        return
    from deeplabcut import __version__
    from deeplabcut.pose_estimation_pytorch.models.detectors import DETECTORS

    model_config = dict(config["detector"]["model"]) | {"pretrained": False}
    detector = DETECTORS.build(model_config)
    detector.load_state_dict(weights)
    detector.eval()
    if kind == "FasterRCNN":
        if not options.size:
            raise SystemExit(
                f"{name} is a Faster R-CNN, which needs --size WIDTHxHEIGHT: of the frames "
                "that are analysed. It finds boxes in frames of other sizes less exactly"
            )
        width, height = size_of(options.size)
        frames = _of_size(frames_of(options.video, [(width, height)]), width, height)
        module = faster_rcnn.DetectorBoxes(
            detector.model, width, height, options.animals
        )
    else:
        height, width = (
            int(side) for side in detector.model.transform.fixed_size[::-1]
        )
        sizes = other_sizes(width, height)
        if options.size:
            sizes[0] = size_of(options.size)
        frames = frames_of(options.video, sizes)
        module = SingleShotBoxes(detector.model, width, height, options.animals)
    new_folder(folder)
    export(module, width, height, ["points", "confidences"], folder)
    most = options.animals
    description = {
        "bodyparts": CORNERS,
        "input": {"layout": "NCHW", "width": width, "height": height}
        | normalisation(config["detector"]["data"])
        | {"fit": "stretch", "sampling": "linear", "align": "corner"},
        "coordinates": {
            "output": "points", "confidences": "confidences", "animals": most,
        },
        "threshold": 0.1,
        "pictures": "own" if options.video else "drawn",
        "source": f"DeepLabCut {__version__}, {kind}, {name}",
    }  # fmt: skip
    boxes = _their_boxes(config, weights, frames, most)
    if not boxes[1].any():
        raise SystemExit(
            f"{name} finds nothing in the frames of {options.video}: name a --video in "
            "which animals are seen well"
            if options.video
            else f"{name} finds nothing in synthetic frames, so it can't be compared: name a "
            "--video of such animals"
        )
    save(folder, description, (frames, *boxes))


def _of_size(frames, width, height):
    """Return the whole frames of that size."""
    fit = [frame for frame in frames if frame.shape[:2] == (height, width)]
    if not fit:
        high, wide = frames[0].shape[:2]
        raise SystemExit(f"--size {width}x{height}, but --video has {wide}x{high}")
    return fit


def normalisation(data):
    """Return the normalisation of pixels, 0 to 255, before the network."""
    inference = data["inference"]
    colour = str(data.get("colormode", "RGB"))
    if inference.get("normalize_images", True):
        mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]) * 255
        return {"colour": colour, "mean": mean.tolist(), "std": std.tolist()}
    scale = 255.0 if inference.get("scale_to_unit_range") else 1.0
    return {"colour": colour, "mean": [0.0], "std": [scale]}


def _weights(source, trust):
    """Return the detector's weights and its file's name; None: there is none."""
    folder = source if source.is_dir() else source.parent
    found = sorted(folder.glob("snapshot-detector-*.pt"))
    file = found[-1] if found else source
    best = [path for path in found if "best" in path.name]
    file = best[-1] if best else file
    if not file.is_file():
        return None
    content = loaded(file, trust)
    if found:
        return content["model"], file.name
    weights = content.get("detector")
    return (weights, file.name) if weights else None


class SingleShotBoxes(torch.nn.Module):
    """Corners (n, box, 2, 2) and scores (n, box, 2) of the best boxes of SSDLite.

    Images are (n, 3, height, width); of one box the axis is left out.
    """

    def __init__(self, network, width, height, most):
        super().__init__()
        self.network, self.most = network, most
        how = network.transform
        self.size = tuple(int(side) for side in how.fixed_size[::-1])  # rows, columns
        for name, values in (("mean", how.image_mean), ("std", how.image_std)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))
        rows, columns = self.size
        scale = torch.tensor([width / columns, height / rows] * 2)
        self.register_buffer("scale", scale)
        self.register_buffer("anchors", self._anchors(height, width))

    def forward(self, image):
        """Return the corners and the scores of images."""
        outputs = self.network.head(self._features(image))
        scores = outputs["cls_logits"].softmax(dim=-1)[..., 1]
        scores = scores * (scores > self.network.score_thresh)
        count = 1
        if self.most > 1:
            count = min(self.network.topk_candidates, scores.shape[1])
        sure, best = scores.topk(count, dim=1)
        places = best[..., None].expand(-1, -1, 4)
        moved = outputs["bbox_regression"].gather(1, places).reshape(-1, 4)
        anchors = self.anchors[best].reshape(-1, 4)
        boxes = self.network.box_coder.decode_single(moved, anchors)
        rows, columns = self.size
        x, y = boxes[:, ::2].clamp(0, columns), boxes[:, 1::2].clamp(0, rows)
        boxes = torch.stack([x, y], dim=-1).reshape(-1, count, 4)
        if self.most > 1:
            share = self.network.nms_thresh
            sure = sure * faster_rcnn.suppressed(boxes, sure, share)
            sure, best = sure.topk(min(self.most, count), dim=1)
            boxes = boxes.gather(1, best[..., None].expand(-1, -1, 4))
        points = boxes.reshape(-1, sure.shape[1], 2, 2) * self.scale[:2]
        sure = sure[..., None].expand(-1, -1, 2)
        return (points, sure) if self.most > 1 else (points[:, 0], sure[:, 0])

    def _features(self, image):
        x = (image - self.mean) / self.std
        x = torch.nn.functional.interpolate(
            x, size=self.size, mode="bilinear", align_corners=False
        )
        return list(self.network.backbone(x).values())

    def _anchors(self, height, width):
        from torchvision.models.detection.image_list import ImageList

        with torch.no_grad():
            features = self._features(torch.zeros(1, 3, height, width))
        images = ImageList(torch.zeros(1, 3, *self.size), [self.size])
        return self.network.anchor_generator(images, features)[0]


def _their_boxes(config, weights, frames, most):
    """Return corners (n, box, 2, 2) of the best boxes that DeepLabCut finds, and scores.

    Of one box (n, 2, 2) and (n, 2).
    """
    from deeplabcut.pose_estimation_pytorch.apis.utils import (
        get_detector_inference_runner,
    )

    rgb = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot-detector.pt"
        torch.save({"model": weights}, snapshot)
        runner = get_detector_inference_runner(
            config, snapshot, device="cpu", max_individuals=most
        )
        found = runner.inference(rgb)
    points = np.full((len(rgb), most, 2, 2), np.nan)
    sure = np.zeros((len(rgb), most, 2))
    for place, boxes_found in enumerate(found):
        for box, (x, y, width, height) in enumerate(
            np.reshape(boxes_found["bboxes"], (-1, 4))
        ):
            points[place, box] = (x, y), (x + width, y + height)
            sure[place, box] = boxes_found["bbox_scores"][box]
    return (points, sure) if most > 1 else (points[:, 0], sure[:, 0])
