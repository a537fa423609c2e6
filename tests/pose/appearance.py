"""Appearance folders made by hand: an embedding is the mean colour of a crop."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deeplabstream.pose.model.model_folder import network_hash
from deeplabstream.pose.tracking.aligned_crops import SIZE
from deeplabstream.pose.tracking.appearance_folder import (
    NETWORK,
    AppearanceFolder,
    AppearanceScores,
    CropEmbedder,
    save_appearance,
)

GOOD = AppearanceScores(800, 0.97, 0.25, 160, 150, 150)
ALIKE = AppearanceScores(800, 0.26, 0.25, 160, 0, 0)
SCALE = 40.0


class ColourEmbedder(CropEmbedder):
    """Embeds crops as their mean colour, 0 to 1."""

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        self.calls += 1
        return np.asarray(crops.mean(axis=(1, 2)) / 255)


def folder_of(
    path: Path,
    scores: AppearanceScores = GOOD,
    axis: tuple[str, str] = ("snout", "tailbase"),
    scale: float = SCALE,
) -> AppearanceFolder:
    """Write a folder whose network embeds crops as their mean colour."""
    path.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("Cast", ["crops"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node(
            "ReduceMean", ["numbers"], ["colours"], axes=[1, 2], keepdims=0
        ),
        helper.make_node("Div", ["colours", "white"], ["embeddings"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", *SIZE, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("white", TensorProto.FLOAT, [], [255.0])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, str(path / NETWORK))
    digest = network_hash(path / NETWORK)
    folder = AppearanceFolder(path, axis, 3, scale, scores, digest, {})
    save_appearance(folder)
    return folder
