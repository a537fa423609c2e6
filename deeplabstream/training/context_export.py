"""A context network as a model folder within its own, for whole videos.

`context/` holds the network that looks at five pictures; the folder around it has the one
of single pictures, which a rig uses.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from deeplabstream.pose.context_network import CONTEXT
from deeplabstream.pose.model.model_folder import (
    ModelFolder,
    load_model_folder,
    save_description,
)
from deeplabstream.training.data.dataset import FRAMES
from deeplabstream.training.model_export import Recipe, export
from deeplabstream.training.networks.context import ContextNetwork

COMPARED = 3
"""Windows of five pictures, one after the other, that torch and ONNX Runtime run."""


def export_context(
    network: ContextNetwork, recipe: Recipe, windows: NDArray[np.uint8], folder: Path
) -> ModelFolder:
    """Write `folder/context/` and return it, as loaded again.

    `windows` are (n, 5, height, width, 3); ModelError: see `export`.
    """
    own = folder / CONTEXT
    pictures = windows[:COMPARED].reshape(-1, *windows.shape[2:])
    model = export(_Along(network), recipe, pictures, own)  # type: ignore[arg-type]
    save_description(replace(model, frames=FRAMES))
    return load_model_folder(own)


class _Along(nn.Module):
    """A network of pictures that follow each other."""

    def __init__(self, network: ContextNetwork) -> None:
        super().__init__()
        self.network = network
        self.how = network.how

    def maps(self, images: Tensor) -> Tensor:
        """Return the heat maps of all of them."""
        return self.network.along(images)
