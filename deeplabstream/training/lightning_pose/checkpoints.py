"""Import of Lightning Pose's single-frame heat map models: ResNets, ViT, DINO and DINOv2.

The folder holds `config.yaml` and, under `tb_logs`, the checkpoint. Only its tensors
are loaded; a checkpoint that holds more than tensors is converted in its own
environment.
"""

import pickle
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import paths_below
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.importers.script_export import SCRIPTS, typed
from deeplabstream.pose.model.model_folder import (
    IMPORTED,
    ModelFolder,
    load_model_folder,
    save_description,
)
from deeplabstream.training.data.projects import read_yaml
from deeplabstream.training.model_export import ModelMetadata, export
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.learned_vit import SIZES, weights_of
from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork
from deeplabstream.training.start_network import LIGHTNING_POSE, WEIGHTS

SIGMA = 1.25
"""Standard deviation of Lightning Pose's targets, in heat map cells."""
ORIGIN = 0.0
"""Input pixel of the centre of cell 0 in Lightning Pose's targets."""
THRESHOLD = 0.5
BACKBONES = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnet50_animal_apose": "resnet50",
    "resnet50_animal_ap10k": "resnet50",
    "resnet50_human_jhmdb": "resnet50",
    "resnet50_human_res_rle": "resnet50",
    "resnet50_human_top_res": "resnet50",
    "resnet50_human_hand": "resnet50",
    **{name: name for name in SIZES},
}
_PLACES = {
    "backbone.0.": "body.conv1.",
    "backbone.1.": "body.bn1.",
    **{f"backbone.{n + 3}.": f"body.layer{n}." for n in range(1, 5)},
    "head.upsampling_layers.": "head.layers.",
}
_TRANSFORMER = "backbone.vision_encoder."
CONVERSION = """\
import sys, torch
checkpoint = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
torch.save({"state_dict": checkpoint["state_dict"]}, sys.argv[2])
"""
"""Conversion script for the user to run in an environment with Lightning Pose."""


_INERT = (
    *(
        f"omegaconf.{name}"
        for name in ("dictconfig.DictConfig", "listconfig.ListConfig")
    ),
    *(f"omegaconf.base.{name}" for name in ("ContainerMetadata", "Metadata")),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "Boolean", "Float", "Integer")),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("String", "Path", "Enum", "Bytes")),
)
"""Classes of the settings stored beside the tensors; they are never instantiated."""


class _Nothing:
    """Placeholder of an object of a settings library."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint of Lightning Pose in our layers."""

    file: Path
    names: tuple[str, ...]
    """The body parts."""
    backbone: str
    """Name of the backbone in Lightning Pose."""
    network: PoseNetwork
    head: bool
    """Whether the checkpoint includes a head: heat map models only."""


def open_checkpoint(path: Path) -> Checkpoint:
    """Return a Lightning Pose network as a start network.

    `path` is the folder of its training, or a `.ckpt` in it. ModelError when the backbone
    is not available here: its import can be started from.
    """
    folder = path
    if path.suffix == ".ckpt":
        near = [folder for folder in path.parents if (folder / "config.yaml").is_file()]
        if not near:
            raise ModelError(
                f"{path}: no folder above it has the config.yaml of its training"
            )
        folder = near[0]
    config = read_yaml(folder / "config.yaml")
    data, how = _section(folder, config, "data"), _section(folder, config, "model")
    backbone = str(how.get("backbone"))
    if backbone not in BACKBONES:
        raise ModelError(
            f"{path}: training can't start from the checkpoint of a {backbone}; import the "
            "network (utils/ImportModel.py) and start from the imported one"
        )
    names = tuple(str(name) for name in data.get("keypoint_names") or ())
    file = path if path.suffix == ".ckpt" else _checkpoint(path)
    own, tensors = BACKBONES[backbone], load_tensors(file)
    if how.get("model_type", "heatmap") == "heatmap":
        network = network_of(tensors, names, own, folder)
        return Checkpoint(file, names, backbone, network, True)
    network = PoseNetwork(len(names), Architecture(backbone=own))
    body = _renamed(tensors)
    body = {key: it for key, it in body.items() if key.startswith("body.")}
    _load(network.body, {k.removeprefix("body."): v for k, v in body.items()}, folder)
    return Checkpoint(file, names, backbone, network, False)


def import_lightning_pose(source: Path, folder: Path, licence: str) -> ModelFolder:
    """Write the model into a folder (see `drafted`).

    ModelError names what can't be imported, and the remedy.
    """
    config = read_yaml(source / "config.yaml")
    data, how = _section(source, config, "data"), _section(source, config, "model")
    kind, backbone = str(how.get("model_type", "heatmap")), str(how.get("backbone"))
    if "multiview" in kind:
        raise ModelError(
            f"{source}: a {kind} model needs images of several cameras at once and can't "
            "be imported; train a heatmap model, which needs one"
        )
    if kind != "heatmap" or backbone not in BACKBONES:
        script = typed(SCRIPTS / "from_lightning_pose.py")
        raise ModelError(
            f"{source}: a {kind} model on {backbone} can't be imported from its "
            "checkpoint. Where Lightning Pose is installed, run `python "
            f"{script} {typed(source)} --output exported`, and import `exported`"
        )
    if int(data.get("downsample_factor", 2)) != 2:
        raise ModelError(f"{source}: only downsample_factor 2 can be imported")
    names = tuple(str(name) for name in data.get("keypoint_names") or ())
    size = data.get("image_resize_dims") or {}
    try:
        sides = int(size["height"]), int(size["width"])
        fitting = Fitting(*sides, "stretch", sampling="linear", align="corner")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{source / 'config.yaml'}: data.image_resize_dims needs height and width"
        ) from error

    checkpoint = _checkpoint(source)
    network = network_of(load_tensors(checkpoint), names, BACKBONES[backbone], source)
    metadata = ModelMetadata(
        Skeleton(names),
        fitting,
        Heatmaps(STRIDE, SIGMA, ORIGIN, network.how.linear_to),
        THRESHOLD,
        {
            "source": f"Lightning Pose, {backbone}",
            "licence": licence,
            "imported_from": {"file": checkpoint.name},
            "version": str(how.get("lightning_pose_version", "")),
            "settings": {"network": asdict(network.how), "loss": LIGHTNING_POSE},
        },
    )

    # Without typical images, the export and torch are compared on noise.
    rng = np.random.default_rng(0)
    shape = (4, fitting.height, fitting.width, 3)
    noise = rng.integers(0, 256, shape, np.uint8)
    model = export(network, metadata, noise, folder, own=False)
    save_description(replace(model, imported=IMPORTED))
    torch.save(network.state_dict(), folder / WEIGHTS)
    return load_model_folder(folder)


def network_of(
    tensors: Mapping[str, Tensor], names: tuple[str, ...], backbone: str, source: Path
) -> PoseNetwork:
    """Return our network with Lightning Pose's weights.

    Its images are RGB and ours BGR: the first convolution's channels are reversed.
    """
    how = Architecture(
        backbone=backbone, head="deconvolution", scale="mass", sigma=SIGMA
    )
    network = PoseNetwork(len(names), how)
    _load(network, _renamed(tensors), source)
    return network.eval()


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    inner = {
        key.removeprefix(_TRANSFORMER): it
        for key, it in tensors.items()
        if key.startswith(_TRANSFORMER)
    }
    own = {f"body.{key}": it for key, it in weights_of(inner).items()}
    for key, tensor in tensors.items():
        place = next((p for p in _PLACES if key.startswith(p)), None)
        if place is not None:
            own[_PLACES[place] + key.removeprefix(place)] = tensor
    for first in ("body.conv1.weight", "body.patches.weight"):
        if first in own:
            own[first] = own[first].flip(1)
    return own


def _load(network: nn.Module, own: Mapping[str, Tensor], source: Path) -> None:
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()[:200]
        raise ModelError(
            f"{source}: the checkpoint does not fit config.yaml: {reason}"
        ) from error


def load_tensors(file: Path) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by name; ModelError when it holds more than data."""
    known: list[Any] = [(type("Nothing", (_Nothing,), {}), name) for name in _INERT]
    known += [(Any, "typing.Any"), defaultdict]
    known += [(kind, f"builtins.{kind.__name__}") for kind in (dict, list, int, str)]
    try:
        with torch.serialization.safe_globals(known):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} holds more than numbers, and is not opened here. Where Lightning Pose "
            f"is installed, save this as tensors.py, run it as `python tensors.py {file} "
            f"{file.with_suffix('.tensors.ckpt')}` and import again:\n{CONVERSION}"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        reason = (str(error) or "it is empty").partition(". ")[0]
        raise ModelError(f"{file} can't be read as a checkpoint: {reason}") from error
    tensors = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(tensors, dict):
        raise ModelError(f"{file} is not a checkpoint of Lightning Pose: no state_dict")
    return tensors


def _checkpoint(source: Path) -> Path:
    """Return the checkpoint: a converted one, else the best, else the newest."""
    found = sorted(paths_below(source, "*.ckpt"), key=lambda file: file.stat().st_mtime)
    for mark in (".tensors.ckpt", "-best.ckpt", ".ckpt"):
        if marked := [file for file in found if file.name.endswith(mark)]:
            return marked[-1]
    raise ModelError(f"{source} has no .ckpt file in it")


def _section(source: Path, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    if not isinstance(section, dict):
        raise ModelError(
            f"{source / 'config.yaml'} is none of Lightning Pose's: it has no section {name}"
        )
    return section
