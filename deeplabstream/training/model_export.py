"""Export of a trained network as a model folder, compared with torch."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.importers.graph_operations import give_shape, load_graph
from deeplabstream.pose.model.model_folder import (
    NETWORK,
    ModelFolder,
    load_model_folder,
    network_hash,
    save_description,
)
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.pose.network_estimator import ConfidenceScale
from deeplabstream.pose.runtimes.onnx_runtime import open_onnx
from deeplabstream.pose.runtimes.runtime_comparison import compare as compare_maps
from deeplabstream.pose.runtimes.runtime_comparison import outputs, save_images
from deeplabstream.training.data.dataset import FRAMES
from deeplabstream.training.evaluation.evaluate import predict
from deeplabstream.training.networks.context import ContextNetwork
from deeplabstream.training.networks.graph_backbone import GraphBackbone
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.multiview import MultiviewNetwork
from deeplabstream.training.networks.pose_network import (
    Architecture,
    PoseNetwork,
    build_network,
    check_size,
)

MOST_PX = 0.05
"""Largest difference of an exported network's point to torch's, px of the input."""
MOST_CONFIDENCE = 0.005
"""Largest difference of a confidence."""
KEPT = 12
"""Images stored in the model folder: runtimes are compared on them."""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Metadata of a model folder: its content besides the network."""

    skeleton: Skeleton
    fitting: Fitting
    decoder: Decoder
    threshold: float
    about: dict[str, object]
    confidence: ConfidenceScale | None = None


def export(
    network: PoseNetwork,
    metadata: ModelMetadata,
    images: NDArray[np.uint8],
    folder: Path,
    own: bool = True,
) -> ModelFolder:
    """Write the model folder and return it, as loaded again.

    torch and ONNX Runtime run `images` (n, height, width, 3). If they are its `own`,
    of the kind it is made for, some are stored in the folder. ModelError when a visible
    point differs by more than `MOST_PX`, or a confidence by more than
    `MOST_CONFIDENCE`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / NETWORK
    _write_onnx(network, metadata.fitting, file)

    grown = isinstance(getattr(network, "body", None), GraphBackbone)
    if grown or isinstance(network, _Views):
        # the exporter leaves the output sizes of some operations open
        count, fitting = len(metadata.skeleton.bodyparts), metadata.fitting
        shapes = metadata.decoder.output_shapes(count, fitting.height, fitting.width)
        file.write_bytes(give_shape(load_graph(file), shapes[0]))

    # The exported network must find the same points as torch: a wrong operation of the
    # exporter gives no error.
    model = ModelFolder(
        folder,
        metadata.skeleton,
        metadata.fitting,
        metadata.decoder,
        metadata.threshold,
        network_hash(file),
        metadata.about,
        confidence=metadata.confidence,
    )
    compare(network, model, images)

    if own and len(images):
        save_images(model, images[:: max(1, len(images) // KEPT)][:KEPT])
    save_description(model)
    return load_model_folder(folder)


def export_untrained(
    skeleton: Skeleton, how: Architecture, fitting: Fitting, folder: Path
) -> ModelFolder:
    """Write a network with random weights, for speed measurements.

    ModelError: the network does not take images of this size.
    """
    check_size(how, fitting.height, fitting.width)
    network = build_network(len(skeleton.bodyparts), how).eval()
    decoder = Heatmaps(STRIDE, how.sigma)
    grey = np.full((1, fitting.height, fitting.width, 3), 127, np.uint8)
    with torch.no_grad():  # allocates what the graph needs for this size
        network.maps(torch.from_numpy(grey))
    metadata = ModelMetadata(skeleton, fitting, decoder, 1.0, {})
    return export(network, metadata, grey, folder, own=False)


def _write_onnx(network: PoseNetwork, fitting: Fitting, file: Path) -> None:
    size = (1, fitting.height, fitting.width, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                _Maps(network).eval(),
                (torch.zeros(size, dtype=torch.uint8),),
                str(file),
                input_names=["images"],
                output_names=["heatmaps"],
                dynamic_axes={"images": {0: "n"}, "heatmaps": {0: "n"}},
                opset_version=17,
                dynamo=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(
                f"the network can't be written as {file.name}: {reason}"
            ) from error


def compare(
    network: PoseNetwork, model: ModelFolder, images: NDArray[np.uint8]
) -> float:
    """Return the largest difference of a visible point to torch's, px of the input."""
    if model.animals > 1:
        worst_px, worst = _several(network, model, images)
    else:
        all_points, all_confidences = predict(network, model.decoder, images)
        points, confidence = all_points[:, 0], all_confidences[:, 0]
        scale = model.confidence
        scaled = confidence if scale is None else scale(confidence)
        raw = replace(model, confidence=None)
        poses = open_onnx(raw, "cpu").estimate(list(images))
        theirs = np.concatenate([pose.points for pose in poses])
        sure = np.concatenate([pose.confidence for pose in poses])
        away = np.linalg.norm(theirs - points, axis=2)[scaled >= model.threshold]
        worst_px = float(away.max(initial=0.0))
        worst = float(np.abs(sure - confidence).max(initial=0.0))
    if not (worst_px <= MOST_PX and worst <= MOST_CONFIDENCE):
        raise ModelError(
            f"the exported network differs from the trained one by {worst_px:.3g} pixels "
            f"and {worst:.3g} of confidence; {MOST_PX} and {MOST_CONFIDENCE} are allowed"
        )
    return worst_px


def _several(
    network: PoseNetwork, model: ModelFolder, images: NDArray[np.uint8]
) -> tuple[float, float]:
    """Return the largest difference of a point, and of any value of maps and fields."""
    theirs = outputs(open_onnx(model, "cpu").network, images)
    with torch.inference_mode():
        own = [network.maps(torch.from_numpy(one[None])).numpy() for one in images]
    far = compare_maps(model, np.concatenate(own), theirs)
    return far.max_px if far.points else 0.0, far.output


class _Maps(nn.Module):
    """The network with heat maps from 0 to 1 instead of logits."""

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the heat maps."""
        return self.network.maps(images)


COMPARED = 3
"""Windows of five images, one after the other, for the comparison."""


def export_context(
    network: ContextNetwork,
    metadata: ModelMetadata,
    windows: NDArray[np.uint8],
    folder: Path,
) -> ModelFolder:
    """Write `folder/context/`, for whole videos, and return it, as loaded again.

    It holds the network that takes five frames; the folder around it has the one of
    single frames, for a rig. `windows` are (n, 5, height, width, 3). ModelError: see
    `export`.
    """
    own = folder / CONTEXT
    images = windows[:COMPARED].reshape(-1, *windows.shape[2:])
    model = export(_Along(network), metadata, images, own)  # type: ignore[arg-type]
    save_description(replace(model, frames=FRAMES))
    return load_model_folder(own)


def export_views(
    network: MultiviewNetwork,
    metadata: ModelMetadata,
    moments: NDArray[np.uint8],
    views: Sequence[str],
    folder: Path,
) -> ModelFolder:
    """Write a multi-view network as a model folder and return it, as loaded again.

    The metadata's skeleton is that of one view. `moments` are (n, view, height, width, 3).
    ModelError: see `export`.
    """
    some = moments[: max(1, _AT_ONCE // len(views))]
    images = some.reshape(-1, *moments.shape[2:])
    model = export(_Views(network), metadata, images, folder)  # type: ignore[arg-type]
    save_description(replace(model, views=tuple(views)))
    return load_model_folder(folder)


_AT_ONCE = 16
"""Images per call of torch when both are compared; must be a multiple of the views."""


class _Views(nn.Module):
    """A multi-view network for images (n, height, width, 3), view by view.

    If the last moment is not complete, its last image is repeated.
    """

    def __init__(self, network: MultiviewNetwork) -> None:
        super().__init__()
        self.network = network
        self.how = network.how

    def maps(self, images: Tensor) -> Tensor:
        """Return the heat maps (n, bodypart, h, w) of each image."""
        count, views = images.shape[0], self.how.views
        whole = (count + views - 1) // views * views
        places = torch.arange(whole, device=images.device)
        shown = images[places.clamp(max=count - 1)]
        maps = self.network.maps(shown.reshape(-1, views, *images.shape[1:]))
        return maps.reshape(-1, maps.shape[1] // views, *maps.shape[2:])[:count]


class _Along(nn.Module):
    """The head of a context network for consecutive images."""

    def __init__(self, network: ContextNetwork) -> None:
        super().__init__()
        self.network = network
        self.how = network.how

    def maps(self, images: Tensor) -> Tensor:
        """Return the heat maps of all of them."""
        return self.network.along(images)
