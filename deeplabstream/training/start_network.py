"""Transfer learning: the start network of a training, and the weights transferred.

The backbone is always taken over. The head is taken over where it is of the same kind: its
shared layers, and the maps of body parts (and edges) with the same names. Other body parts
get new maps. `model.json` describes the network, `weights.pt` has its weights; nothing but
tensors is loaded. A model folder without them, such as that of an imported or a bundled
network, has its layers in `network.onnx` (`networks/graph_backbone.py`). Its last layer is
taken over where it makes heat maps as ours do, and no body part is new; otherwise the head is
new. The folder of a training of Lightning Pose is read without an import.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydantic
import torch
import yaml
from torch import nn

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import is_folder, paths_below
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    ModelFolder,
    load_model_folder,
    network_hash,
)
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.training.fit_settings import LearningRateSchedule
from deeplabstream.training.losses.supervised import Loss
from deeplabstream.training.networks.backbone import GRAPH
from deeplabstream.training.networks.heads import STRIDE, DeconvolutionHead, LastLayer
from deeplabstream.training.networks.pose_network import (
    Architecture,
    PoseNetwork,
    build_network,
)

WEIGHTS = "weights.pt"
LIGHTNING_POSE: Loss = "mse"
"""The loss of Lightning Pose's heat maps, by default."""
FROZEN = 0.1
"""Share of the steps in which only the head is trained, where some of it is new."""
BACKBONE = 0.1
"""The backbone's share of the head's learning rate, afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class StartNetwork:
    """A trained network to start from."""

    path: Path
    bodyparts: tuple[str, ...]
    network: PoseNetwork
    loss: Loss = "cross_entropy"
    """The loss that it was trained with."""
    head: bool = True
    """Whether `network` has its head, too."""
    sha256: str = ""
    """Checksum of its file."""
    source: str = ""
    """Its origin, as text."""
    licence: str = ""

    @property
    def how(self) -> Architecture:
        """Its architecture."""
        return self.network.how

    def how_with(self, bodyparts: Sequence[str]) -> Architecture:
        """Return the architecture of a network of these body parts that starts from it."""
        if self.how.head == "last" and not {*bodyparts} <= {*self.bodyparts}:
            return Architecture(backbone=self.how.backbone)
        return self.how

    def about(self, taken: "TakenOver") -> dict[str, object]:
        """Return the entry of the new `model.json`."""
        return {
            "folder": self.path.resolve().name,
            "sha256": self.sha256,
            "network": self.source,
            "licence": self.licence,
            "head": taken.head,
            "bodyparts": list(taken.bodyparts),
        }


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The layers of a start network that a new one has."""

    head: bool
    """Whether the head is of the same kind."""
    bodyparts: tuple[str, ...]
    """Body parts whose maps are transferred."""
    new: tuple[str, ...]
    """Body parts with new maps."""

    def sentence(self, start: StartNetwork) -> str:
        """Return the transferred layers as a sentence."""
        what = "backbone and head" if self.head else "backbone"
        kept = f", maps of {', '.join(self.bodyparts)}" if self.bodyparts else ""
        new = f"; new: {', '.join(self.new)}" if self.new else ""
        return f"starts from {start.path}: {what}{kept}{new}"

    def schedule(self, steps: int) -> LearningRateSchedule:
        """Return the schedule: the head first, then the backbone at a lower rate."""
        frozen = round(FROZEN * steps) if self.new else 0
        return LearningRateSchedule(unfreeze_at=frozen, backbone=BACKBONE)


def open_start(name: str | Path) -> StartNetwork:
    """Return a network to start from.

    `name` is the path of a model folder, its name in `models/`, or a folder or checkpoint
    (`.ckpt`) of Lightning Pose.

    Raises
    ------
    ModelError
        There is no network, or none that training can start from.
    """
    path = Path(name)
    if path.suffix == ".ckpt" or _is_lightning_pose(path):
        return _of_lightning_pose(path)

    folder = find_model(name)
    if several := members(folder):
        raise ModelError(
            f"{folder} is an ensemble: start from one of its networks, as {several[0]}"
        )
    if not (folder / DESCRIPTION).is_file():
        raise ModelError(
            f"{folder} is not a model folder: it has no {DESCRIPTION}; import a network of "
            "another program first (utils/ImportModel.py)"
        )

    # Without weights of ours, the layers of the graph itself are trained further.
    model = load_model_folder(folder)
    described = _described(model)
    loss: Loss = "cross_entropy"
    if described is None or not (folder / WEIGHTS).is_file():
        network = _of_graph(model)
        head = network.how.head == "last"
    else:
        network, loss, head = (
            _with_weights(model, described.network),
            described.loss,
            True,
        )

    about = model.about
    return StartNetwork(
        folder,
        model.skeleton.bodyparts,
        network,
        loss,
        head,
        model.sha256,
        str(about.get("network", about.get("source", ""))),
        model.licence,
    )


@torch.no_grad()
def _of_graph(model: ModelFolder) -> PoseNetwork:
    """Return a network of the layers in `network.onnx`, with a new head unless its fits."""
    how = Architecture(backbone=f"{GRAPH}{model.path.resolve()}")
    network, decoder = build_network(len(model.skeleton.bodyparts), how), model.decoder
    last = network.body.last
    if last is None or not isinstance(decoder, Heatmaps):
        return network
    weight, bias = last
    if decoder != Heatmaps(STRIDE, decoder.sigma) or len(bias) != network.bodyparts:
        return network
    head = LastLayer(*weight.shape[:3])
    head.maps.weight.copy_(weight)
    head.maps.bias.copy_(bias)  # type: ignore[union-attr]
    network.head, network.how = head, replace(how, head="last", sigma=decoder.sigma)
    return network


def _with_weights(model: ModelFolder, how: Architecture) -> PoseNetwork:
    file = model.path / WEIGHTS
    network = build_network(len(model.skeleton.bodyparts), how)
    try:
        network.load_state_dict(torch.load(file, "cpu", weights_only=True))
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"{file} can't be read as weights") from error
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(f"{file} does not fit {model.path / DESCRIPTION}") from error
    return network


def _is_lightning_pose(folder: Path) -> bool:
    """Return whether it is the folder of a training of Lightning Pose."""
    if not is_folder(folder) or (folder / DESCRIPTION).is_file():
        return False
    return (folder / "config.yaml").is_file() and bool(paths_below(folder, "*.ckpt"))


def _of_lightning_pose(path: Path) -> StartNetwork:
    from deeplabstream.training.lightning_pose.checkpoints import open_checkpoint

    found = open_checkpoint(path)
    source = f"Lightning Pose, {found.backbone}"
    return StartNetwork(
        path, found.names, found.network, LIGHTNING_POSE, found.head,
        network_hash(found.file), source,
    )  # fmt: skip


def detector_start(name: str | Path) -> StartNetwork | None:
    """Return the detector of a cropzoom network; None: it has none."""
    folder = find_model(name) / DETECTOR
    return open_start(folder) if (folder / DESCRIPTION).is_file() else None


class _Settings(pydantic.BaseModel):
    network: Architecture
    loss: Loss


def _described(model: ModelFolder) -> _Settings | None:
    """Return how the network is made; None: another program, or an old version, made it."""
    try:
        settings = _Settings.model_validate(model.about.get("settings"))
    except pydantic.ValidationError:
        return None
    graph = settings.network.backbone.startswith(GRAPH)
    gone = not is_folder(Path(settings.network.backbone.removeprefix(GRAPH)))
    return None if graph and gone else settings


@torch.no_grad()
def take_over(
    network: PoseNetwork, skeleton: Skeleton, start: StartNetwork
) -> TakenOver:
    """Transfer the weights of a start network that fit into a new one; return which.

    The backbone is copied as a whole; of the head the maps of the body parts and edges that
    both networks have. `skeleton` has the body parts of the new network. ModelError: the
    backbones differ.
    """
    how, old = network.how, start.how
    if (how.backbone, how.stages) != (old.backbone, old.stages):
        raise ModelError(
            f"{start.path} has the backbone {old.backbone} of {old.stages} stages, "
            f"not {how.backbone} of {how.stages}"
        )
    network.body.load_state_dict(start.network.body.state_dict())

    parts = skeleton.bodyparts
    if not start.head or _head_kind(how) != _head_kind(old):
        return TakenOver(False, (), parts)

    # Maps to copy: from those of the start network (`of`) to those of the new one
    # (`to`).
    mine, theirs = _maps(how, parts), _maps(old, start.bodyparts)
    common = [name for name in mine if name in theirs]
    to = torch.tensor([n for name in common for n in mine[name]], dtype=torch.int64)
    of = torch.tensor([n for name in common for n in theirs[name]], dtype=torch.int64)

    # Weights without an axis of maps are shared by all body parts, and copied whole.
    axes, weights = _axes_of_maps(network), start.network.state_dict()
    for key, own in network.state_dict().items():
        if key.startswith("body.") or key not in weights:
            continue
        value = weights[key]
        if key not in axes:
            own.copy_(value)
        elif axes[key] == (0,):
            own[to] = value[of]
        elif axes[key] == (1,):
            own[:, to] = value[:, of]
        else:
            own[to[:, None], to] = value[of[:, None], of]

    kept = tuple(part for part in parts if part in theirs)
    return TakenOver(True, kept, tuple(part for part in parts if part not in theirs))


def _head_kind(how: Architecture) -> tuple[object, ...]:
    """Return a key that is equal for two heads whose weights fit."""
    if how.kind in ("regression", "multiview"):
        return (how.kind,)
    return how.head, how.scale, how.channels if how.head == "light" else 0


def _maps(how: Architecture, parts: tuple[str, ...]) -> dict[object, list[int]]:
    """Return the places of each body part, and of each edge, in the head's last layer."""
    if how.kind == "multiview":
        return {}
    count = 3 if how.kind == "regression" else 1
    maps: dict[object, list[int]] = {
        part: [*range(n * count, (n + 1) * count)] for n, part in enumerate(parts)
    }
    for n, (one, other) in enumerate(how.edges):
        first = len(parts) + 2 * n
        maps[parts[one], parts[other]] = [first, first + 1]
    return maps


def _axes_of_maps(network: PoseNetwork) -> dict[str, tuple[int, ...]]:
    """Return the weights that depend on the body parts, and along which axes they do."""
    last = ("coordinates.2", "head.maps", "more")
    axes: dict[str, tuple[int, ...]] = {
        f"{name}.{kind}": (0,) for name in last for kind in ("weight", "bias")
    }
    head: Any = getattr(network, "head", None)
    if isinstance(head, DeconvolutionHead):
        first = True
        for n, layer in enumerate(head.layers):
            if isinstance(layer, nn.ConvTranspose2d):
                axes[f"head.layers.{n}.weight"] = (1,) if first else (0, 1)
            else:
                axes[f"head.layers.{n}.weight"] = (0,)
            axes[f"head.layers.{n}.bias"] = (0,)
            first = first and not isinstance(layer, nn.ConvTranspose2d)
    return axes


def check_resumed(folder: Path, start_from: Path | None) -> None:
    """Raise ModelError when the stopped training in a folder started from another network."""
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
        before = (config.get("model") or {}).get("checkpoint")
    except (OSError, AttributeError, yaml.YAMLError):
        return
    given = str(start_from) if start_from else None
    if before != given:
        do = f"give --start-from {before}" if before else "leave --start-from out"
        raise ModelError(
            f"--resume: the training in {folder} started from "
            f"{before or 'no other network'}; {do}"
        )
