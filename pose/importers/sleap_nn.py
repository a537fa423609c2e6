"""What `sleap-nn export --format onnx` writes: `model.onnx` and `export_metadata.json`.

SLEAP-NN puts the search for peaks into the network, and finds whole cells. Networks of a
single animal are cut before it: the confidence maps are read as ours are, between cells.
Top-down networks are taken whole; of the animals they find, the surest.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from core.errors import ModelError
from pose.importers.described import import_onnx
from pose.importers.description import Coordinates, Description, Heatmaps, Input
from pose.importers.graph import load_graph
from pose.model_folder import ModelFolder, network_hash

METADATA = "export_metadata.json"
NETWORK = "model.onnx"
CONFIG = "training_config.yaml"
SIGMA = 1.5
"""Of SLEAP-NN's targets, in cells, where its configuration is not there."""


class _Metadata(pydantic.BaseModel):
    """What is used of the metadata."""

    model_type: str
    node_names: list[str] = pydantic.Field(min_length=1)
    edge_inds: list[tuple[int, int]] = []
    input_scale: float = pydantic.Field(1.0, gt=0)
    input_channels: int = pydantic.Field(1, ge=1)
    output_stride: int = pydantic.Field(ge=1)
    crop_size: tuple[int, int] | None = None
    peak_threshold: float | None = 0.2
    sleap_nn_version: str = ""


def import_sleap_nn(
    source: Path, size: tuple[int, int] | None, folder: Path, licence: str
) -> ModelFolder:
    """Write the model folder for pictures of `size`, width and height.

    Without one, that of the network; ModelError says what is wrong.
    """
    said = _metadata(source / METADATA)
    network = load_graph(source / NETWORK)
    width, height = size or _size(network, said, source)
    words = _described(network, said, source, (width, height), licence)
    about: dict[str, object] = {
        "imported_from": {
            "folder": source.name,
            "sha256": network_hash(source / NETWORK),
        }
    }
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / NETWORK
        file.write_bytes(network.SerializeToString())
        try:
            return import_onnx(file, words, folder, about)
        except ModelError as error:
            said_of = str(error).replace(str(file), str(source / NETWORK))
            raise ModelError(said_of) from error


def _described(
    network: Any, said: _Metadata, source: Path, size: tuple[int, int], licence: str
) -> Description:
    """Return what the network wants and gives; it is made to give what is read."""
    width, height = size
    how = _KINDS.get(said.model_type, _unknown)(network, said, source)
    try:
        return Description(
            bodyparts=said.node_names,
            bones=[
                (said.node_names[one], said.node_names[other])
                for one, other in said.edge_inds
            ],
            input=Input(
                width=width,
                height=height,
                colour="GREY" if said.input_channels == 1 else "RGB",
                mean=[0.0],
                std=[1.0],
            ),
            threshold=said.peak_threshold or 0.2,
            licence=licence,
            source=f"SLEAP-NN {said.sleap_nn_version}, {said.model_type}",
            **how,
        )
    except pydantic.ValidationError as error:
        words = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ModelError(f"{source / METADATA}: {words}") from error


def _single(network: Any, said: _Metadata, source: Path) -> dict[str, Any]:
    """Make the confidence maps an output; return how they are read."""
    made = {name: node for node in network.graph.node for name in node.output}
    name, value = "", "peak_vals"
    while value in made and not name:
        node = made[value]
        if node.op_type in ("ReduceMax", "Max", "TopK"):
            flat = made.get(node.input[0])
            name = flat.input[0] if flat and flat.op_type == "Reshape" else ""
            break
        value = node.input[-1]
    if not name:
        raise ModelError(
            f"{source / NETWORK}: its confidence maps are not found; it was tried with "
            f"exports of SLEAP-NN 0.3.5, and this is of {said.sleap_nn_version}"
        )
    network.graph.output.append(_output(name, "n", "part", "h", "w"))
    del network.graph.output[:-1]
    stride = said.output_stride / said.input_scale
    if stride != int(stride):
        raise ModelError(
            f"{source / METADATA}: a cell is {stride:g} pixels wide; only whole ones can "
            "be imported"
        )
    sigma = _sigma(source / CONFIG, said.model_type)
    return {
        "heatmaps": Heatmaps(output=name, stride=int(stride), sigma=sigma, origin=0)
    }


def _top_down(network: Any, said: _Metadata, source: Path) -> dict[str, Any]:
    """Take the first animal, which is the one whose middle is surest."""
    import onnx

    first = onnx.numpy_helper.from_array(np.array(0, np.int64), "first_animal")
    network.graph.initializer.append(first)
    for name in ("peaks", "peak_vals"):
        node = onnx.helper.make_node(
            "Gather", [name, "first_animal"], [f"{name}_of_first"], axis=1
        )
        network.graph.node.append(node)
    points = _output("peaks_of_first", "n", "part", "xy")
    network.graph.output.extend([points, _output("peak_vals_of_first", "n", "part")])
    del network.graph.output[:-2]
    return {
        "coordinates": Coordinates(
            output="peaks_of_first",
            confidences="peak_vals_of_first",
            scale=[1.0, 1.0],
        )
    }


def _output(name: str, *shape: str) -> Any:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _unknown(network: Any, said: _Metadata, source: Path) -> dict[str, Any]:
    raise ModelError(
        f"{source}: SLEAP-NN's {said.model_type} networks can't be imported; "
        f"{', '.join(_KINDS)} can. A top-down pair is exported in one: `sleap-nn export "
        "CENTROID_FOLDER CENTERED_INSTANCE_FOLDER`"
    )


_KINDS: dict[str, Callable[[Any, _Metadata, Path], dict[str, Any]]] = {
    "single_instance": _single,
    "centered_instance": _single,
    "topdown": _top_down,
}


def _metadata(file: Path) -> _Metadata:
    try:
        said = _Metadata.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = " → ".join(str(step) for step in fault["loc"])
        raise ModelError(f"{file} is damaged: {place}: {fault['msg']}") from error
    if any(
        not 0 <= end < len(said.node_names) for bone in said.edge_inds for end in bone
    ):
        raise ModelError(f"{file} is damaged: a bone ends at no body part")
    return said


def _size(network: Any, said: _Metadata, source: Path) -> tuple[int, int]:
    """Return width and height that the network has; ModelError when it takes any."""
    if said.model_type == "centered_instance" and said.crop_size:
        return said.crop_size[1], said.crop_size[0]
    sides = network.graph.input[0].type.tensor_type.shape.dim[2:4]
    height, width = (int(side.dim_value) for side in sides)
    if not (height and width):
        raise ModelError(
            f"{source}: the network takes pictures of any size; say which is analysed: "
            "--size 640x480 (what the training configuration calls max_stride must "
            "divide both)"
        )
    return width, height


def _sigma(file: Path, kind: str) -> float:
    """Return how wide targets were, in cells."""
    import yaml

    try:
        words = yaml.safe_load(file.read_text("utf-8"))
        heads = words["model_config"]["head_configs"]
        return float(heads[kind]["confmaps"]["sigma"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return SIGMA
