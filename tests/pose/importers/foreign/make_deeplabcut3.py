"""Make deeplabcut3_*.tar.xz beside this file, where DeepLabCut 3 is installed.

    python -m tests.pose.importers.foreign.make_deeplabcut3 [NAME] …

Tiny snapshots, as DeepLabCut writes them, and what `from_deeplabcut3.py` makes of them.
Most have weights that repeat, so that the archives are small; that of several animals
with fields was trained on drawn ones, as peaks must belong together there. The detector
in deeplabcut3_axes.tar.xz is of an earlier run: boxes of random weights depend on the last
bits of a frame, and ImportModel refuses what this script makes of them now.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.pose.importers.foreign.drawing import (
    SEVERAL_PARTS,
    drawn_animals,
    random_maps,
)
from tests.pose.importers.foreign.making import (
    HERE,
    PERIOD,
    SCRIPTS,
    exported,
    repeating,
    rounded,
)

PARTS = ["snout", "leftear", "rightear", "tailbase"]
WIDTH, HEIGHT = 192, 160
"""Of pictures of several animals."""


def main():
    """Write the archives that are asked for."""
    for kind in sys.argv[1:] or [*_KINDS, "predictor"]:
        if kind == "predictor":
            _predicted()
            continue
        net, top_down, several, shrink = _KINDS[kind]
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder) / kind, net, top_down, several, shrink)


def _make(folder, net, top_down, several, shrink):
    import torch
    import yaml
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder.mkdir()
    project = {
        "Task": "tiny", "scorer": "nobody", "date": "Nov1", "bodyparts": PARTS,
        "multianimalproject": False, "project_path": str(folder), "skeleton": [],
        "engine": "pytorch", "TrainingFraction": [0.95], "iteration": 0,
        "default_net_type": net, "identity": False, "video_sets": {},
    }  # fmt: skip
    if several:
        project |= {
            "multianimalproject": True, "bodyparts": "MULTI!",
            "multianimalbodyparts": SEVERAL_PARTS, "uniquebodyparts": [],
            "individuals": ["anna", "bob", "carl"],
        }  # fmt: skip
    config = PoseConfig.build(
        project, folder / "pytorch_config.yaml", net_type=net, top_down=top_down,
        multi_animal=several,
    )  # fmt: skip
    words = config.to_dict(normalize=True)
    shrink(words)
    words["metadata"]["project_path"] = words["metadata"]["pose_config_path"] = None
    text = yaml.safe_dump(words)
    (folder / "pytorch_config.yaml").write_text(text, "utf-8")
    model = PoseModel.build(dict(PoseConfig.from_any(words)["model"]))
    given = ("--size", "128x96")
    if folder.name == "fields":
        _learn(model)
        model.load_state_dict(rounded(model.state_dict(), bits=4))
        film = _filmed(folder)
        given = ("--size", f"{WIDTH}x{HEIGHT}", "--video", str(film))
    else:
        times = {"axes": 0.05, "centres": 0.1}.get(folder.name, 0.05)
        state = repeating(model.state_dict(), ("heads", times))
        model.load_state_dict(_with_one_peak(state))
    snapshot = {"model": model.state_dict(), "metadata": {"epoch": 10, "metrics": {}}}
    torch.save(snapshot, folder / "snapshot-best-010.pt")
    if top_down:
        _detector(words, folder)
    exported("from_deeplabcut3.py", folder, f"deeplabcut3_{folder.name}", *given)


def _with_one_peak(state):
    """Take the repeated cells from the axes: equal sums would be ordered by rounding."""
    for name, weights in state.items():
        if ".cls_" in name:
            weights[PERIOD:] = 0
    return state


def _detector(words, folder):
    """Write a snapshot of the detector."""
    import torch
    from deeplabcut.pose_estimation_pytorch.models.detectors import DETECTORS

    detector = _no_weights_fetched(DETECTORS.build)(dict(words["detector"]["model"]))
    state = repeating(detector.state_dict(), ("head", 0.05))
    if folder.name == "boxes":
        detector.load_state_dict(state)
        state = _spread(detector)
    snapshot = {"model": state, "metadata": {"epoch": 10, "metrics": {}}}
    torch.save(snapshot, folder / "snapshot-detector-best-010.pt")


def _no_weights_fetched(build):
    sys.path.insert(0, str(SCRIPTS))
    from deeplabcut3_faster_rcnn import nothing_fetched

    return nothing_fetched()(build)


def _spread(detector):
    """Return weights with which each layer's results spread, so that scores differ."""
    import torch

    def scaled(layer, given, result):
        times = (3.0 if getattr(layer, "out_features", 0) == 2 else 1.0) / result.std()
        layer.weight.data *= times
        return result * times

    convs = (torch.nn.Conv2d, torch.nn.Linear)
    detector.eval()
    layers = [layer for layer in detector.modules() if isinstance(layer, convs)]
    hooks = [layer.register_forward_hook(scaled) for layer in layers]
    with torch.no_grad():
        detector(torch.rand(1, 3, 64, 96) * 4 - 2)
    for hook in hooks:
        hook.remove()
    return detector.state_dict()


def _learn(model):
    """Train it on drawn animals, with DeepLabCut's own targets and losses."""
    import torch

    rng = np.random.default_rng(0)
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    rounds = 500
    for turn in range(rounds):
        drawings = [_drawn(rng, int(rng.integers(1, 4))) for _ in range(4)]
        grey = np.stack([picture for picture, _ in drawings]).astype(np.float32) / 255
        x = ((grey[..., None] - mean) / std).transpose(0, 3, 1, 2)
        points = np.zeros((len(drawings), 3, len(SEVERAL_PARTS), 3), np.float32)
        for own, (_, where) in zip(points, drawings, strict=True):
            own[: len(where), :, :2] = where
            own[: len(where), :, 2] = 2
        outputs = model(torch.from_numpy(x))
        labels = {"keypoints": torch.from_numpy(points)}
        loss = model.get_loss(outputs, model.get_target(outputs, labels))["total_loss"]
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1, 2 - 2 * turn / rounds)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


def _drawn(rng, count):
    return drawn_animals(rng, count, HEIGHT, WIDTH, scale=2.0)


def _filmed(folder):
    """Return a film of one to three animals."""
    import cv2

    file, rng = folder / "film.mp4", np.random.default_rng(7)
    code = cv2.VideoWriter_fourcc(*"mp4v")
    film = cv2.VideoWriter(str(file), code, 30, (WIDTH, HEIGHT))
    for index in range(12):
        picture, _ = _drawn(rng, 1 + index % 3)
        film.write(np.repeat(picture[..., None], 3, axis=2))
    film.release()
    return file


def _small_resnet(words):
    words["model"]["backbone"]["model_name"] = "test_resnet"
    words["model"]["backbone_output_channels"] = 96
    head = words["model"]["heads"]["bodypart"]
    for each in ("heatmap", "locref", "paf"):
        if f"{each}_config" in head:
            head[f"{each}_config"]["channels"][0] = 96


def _small_fields(words):
    _small_resnet(words)
    head = words["model"]["heads"]["bodypart"]
    head["num_stages"] = 0
    maps, fields = head["target_generator"]["generators"]
    maps["pos_dist_thresh"], fields["width"] = 10, 12


def _small_rtmpose(words):
    words["model"]["backbone"]["widen_factor"] = 0.125
    words["model"]["backbone_output_channels"] = 128
    head = words["model"]["heads"]["bodypart"]
    head["in_channels"] = 128
    head["gau_cfg"]["hidden_dims"] = 64
    head["gau_cfg"]["s"] = 32


def _small_hrnet(words):
    words["model"]["backbone"]["model_name"] = "hrnet_w18_small"
    head = words["model"]["heads"]["bodypart"]
    words["model"]["backbone_output_channels"] = 16
    for each in ("heatmap", "locref"):
        head[f"{each}_config"]["channels"][0] = 16


def _small_boxes(words):
    words["model"]["backbone"]["model_name"] = "hrnet_w18_small"
    head = words["model"]["heads"]["bodypart"]
    words["model"]["backbone_output_channels"] = 16
    head["heatmap_config"]["channels"][0] = 16
    head["predictor"]["location_refinement"] = False  # as a SuperAnimal's
    head["target_generator"]["generate_locref"] = False
    head["locref_config"] = None
    del head["criterion"]["locref"]
    words["detector"]["model"] = {
        "type": "FasterRCNN", "box_score_thresh": 0.01,
        "variant": "fasterrcnn_mobilenet_v3_large_320_fpn",
    }  # fmt: skip


def _predicted():
    """Write deeplabcut3_predictor.npz: animals that DEKRPredictor reads from random maps."""
    import torch
    from deeplabcut.pose_estimation_pytorch.models.predictors import PREDICTORS

    held = {}
    for score in ("combined", "center", "heatmap"):
        for absorb in (0, 6):
            for same in (0.0, 0.05):
                how = {
                    "type": "DEKRPredictor", "num_animals": 4, "apply_sigmoid": False,
                    "clip_scores": True, "use_heatmap": absorb > 0,
                    "keypoint_score_type": score, "max_absorb_distance": absorb,
                    "nms_threshold": same, "apply_pose_nms": same > 0,
                }  # fmt: skip
                given = torch.from_numpy(random_maps(len(held)))[None]
                outputs = {"heatmap": given[:, :4].clone(), "offset": given[:, 4:]}
                poses = PREDICTORS.build(how)(4.0, outputs)["poses"][0].numpy()
                held[f"{score}-{absorb}-{same}"] = poses
    np.savez_compressed(HERE / "deeplabcut3_predictor.npz", **held)


def _small_dekr(words):
    words["model"]["backbone"]["model_name"] = "hrnet_w18_small"
    widths = 16 + 32 + 64 + 128
    words["model"]["backbone_output_channels"] = widths
    head = words["model"]["heads"]["bodypart"]
    for each in ("heatmap", "offset"):
        head[f"{each}_config"]["channels"][0] = widths


_KINDS = {
    "maps": ("resnet_50", False, False, _small_resnet),
    "axes": ("rtmpose_s", True, False, _small_rtmpose),
    "hrnet": ("hrnet_w18", False, False, _small_hrnet),
    "fields": ("resnet_50", False, True, _small_fields),
    "boxes": ("hrnet_w18", True, True, _small_boxes),
    "centres": ("dekr_w18", False, True, _small_dekr),
}

if __name__ == "__main__":
    main()
