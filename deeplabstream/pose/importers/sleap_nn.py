"""Import of networks exported by SLEAP-NN: `model.onnx` and `export_metadata.json`.

SLEAP-NN puts the search for peaks into the network, and finds whole cells. Networks of
a single animal are cut before it: the confidence maps are read between cells, as
SLEAP-NN itself does (its integral refinement). So are bottom-up networks; their part
affinity fields join body parts to animals as ours do. Top-down networks are imported with
both stages, refined in the graph, for the animal with the best score.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.importers.graph_operations import load_graph, onnx_package
from deeplabstream.pose.importers.network_description import (
    AnimalSection,
    CoordinateSection,
    HeatmapSection,
    NetworkDescription,
    NetworkInput,
)
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.importers.reference_points import (
    REFERENCE,
    TOLERANCE_PX,
    read_reference,
)
from deeplabstream.pose.importers.sleap_nn_metadata import (
    METADATA,
    Metadata,
    configured,
    read_metadata,
    size_limit,
)
from deeplabstream.pose.importers.sleap_nn_refinement import (
    SQUARE,
    is_refined,
    refine_top_down,
)
from deeplabstream.pose.model.model_folder import ModelFolder, network_hash

NETWORK = "model.onnx"
SIGMA = 1.5
"""Default width of SLEAP-NN's targets, in cells, without its configuration."""
FLOOR = 0.2
"""Default threshold of peaks, if the metadata have none."""


def import_sleap_nn(
    source: Path,
    size: tuple[int, int] | None,
    folder: Path,
    licence: str,
    animals: int = 0,
    tolerance_px: float = 0.0,
    accept_differences: bool = False,
) -> ModelFolder:
    """Write the model into a folder (see `drafted`), for images of `size`.

    That is width and height; without one, the network's. A bottom-up network finds at
    most `animals`, 0: as in its metadata; a top-down one those with the best scores, 0:
    one. Where `from_sleap_nn.py` put a reference beside the network, points are compared
    with it: `tolerance_px` is the limit, 0: `TOLERANCE_PX`, of a top-down pair that can't be
    refined 1.5 cells.
    Differences are noted where they are accepted. ModelError gives the reason.
    """
    metadata = read_metadata(source)
    if animals > 1 and metadata.model_type not in _OF_SEVERAL:
        raise ModelError(
            f"{source}: a {metadata.model_type} network finds one animal; leave out --animals"
        )

    network = load_graph(source / NETWORK)
    width, height = (
        size or _prepared(metadata, source) or _size(network, metadata, source)
    )
    step = _step(metadata, source)
    if width % step or height % step:
        raise ModelError(
            f"--size {width}x{height}: both must be multiples of {step:g}, which is "
            "max_stride in the training configuration"
        )

    description = _described(network, metadata, source, (width, height), animals)
    about: dict[str, object] = {
        "imported_from": {
            "folder": source.name,
            "sha256": network_hash(source / NETWORK),
        }
    }

    # The graph was changed: its outputs are now the maps, not SLEAP's poses.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        file = Path(place) / NETWORK
        file.write_bytes(network.SerializeToString())
        try:
            description = description.model_copy(update={"licence": licence})
            if not (source / REFERENCE).is_file():
                return import_onnx(file, description, folder, about)
            reference = read_reference(source / REFERENCE, description)
            limit = tolerance_px or max(TOLERANCE_PX, _reading_px(network, metadata))
            model = import_onnx(
                file, description, folder, about, reference, limit, accept_differences
            )
            shutil.copyfile(source / REFERENCE, folder / REFERENCE)
            return model
        except ModelError as error:
            message = str(error).replace(str(file), str(source / NETWORK))
            raise ModelError(message) from error


def _described(
    network: Any, metadata: Metadata, source: Path, size: tuple[int, int], animals: int
) -> NetworkDescription:
    """Return the inputs and outputs of the network; its graph gets the outputs that are read."""
    width, height = size
    how = _KINDS.get(metadata.model_type, _unknown)(network, metadata, source, animals)
    try:
        return NetworkDescription(
            bodyparts=metadata.node_names,
            edges=metadata.edges,
            input=NetworkInput(
                width=width,
                height=height,
                colour="GREY" if metadata.input_channels == 1 else "RGB",
                mean=[0.0],
                std=[1.0],
                rest=0,
                sampling="antialias",
                align="corner",
                **_fit(metadata, source, size),
            ),
            threshold=metadata.peak_threshold or FLOOR,
            source=f"SLEAP-NN {metadata.sleap_nn_version}, {metadata.model_type}",
            **how,
        )
    except pydantic.ValidationError as error:
        description = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ModelError(f"{source / METADATA}: {description}") from error


def _reading_px(network: Any, metadata: Metadata) -> float:
    """Return the difference of points from another decoding, in input pixels.

    A top-down pair whose graph could not be refined finds whole cells, with both of its
    networks; the maps of others are read as SLEAP-NN reads them.
    """
    if metadata.model_type != "topdown" or is_refined(network):
        return 0.0
    return 1.5 * metadata.output_stride / metadata.input_scale


def _step(metadata: Metadata, source: Path) -> float:
    """Return the divisor of the input's sides, in pixels."""
    step = configured(source, "backbone_config", metadata.backbone, "max_stride") or 1
    return step / metadata.input_scale


def _prepared(metadata: Metadata, source: Path) -> tuple[int, int] | None:
    """Return width and height to which SLEAP-NN resizes every frame; None: none."""
    if metadata.model_type == "centered_instance" or not (limit := size_limit(source)):
        return None
    step = _step(metadata, source)
    width, height = (int(np.ceil(side / step) * step) for side in limit[::-1])
    return width, height


def _fit(metadata: Metadata, source: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Return how SLEAP-NN fits frames: within a limit, otherwise unchanged."""
    if metadata.model_type == "centered_instance":
        return {"fit": "native"}
    if (prepared := _prepared(metadata, source)) is None:
        return {} if metadata.model_type == "topdown" else {"fit": "native"}
    if prepared != size:
        raise ModelError(
            f"--size {size[0]}x{size[1]}: SLEAP-NN brings every frame to "
            f"{prepared[0]}x{prepared[1]} for this network (max_height and max_width in its "
            "training configuration): leave --size out"
        )
    limit = size_limit(source)
    return {"area": None if limit == prepared[::-1] else limit}


def _single(
    network: Any, metadata: Metadata, source: Path, animals: int
) -> dict[str, Any]:
    """Make the confidence maps an output; return how they are read."""
    made = _makers(network)
    name, value = "", "peak_vals"
    while value in made and not name:
        node = made[value]
        if node.op_type in ("ReduceMax", "Max", "TopK"):
            name = _before_flattening(made, node.input[0])
            break
        value = node.input[-1]
    if not name:
        raise _not_found(metadata, source)
    network.graph.output.append(_output(name, "n", "part", "h", "w"))
    del network.graph.output[:-1]
    return {"heatmaps": _maps(name, metadata, source)}


def _bottom_up(
    network: Any, metadata: Metadata, source: Path, animals: int
) -> dict[str, Any]:
    """Make confidence maps and fields outputs; return how they are read."""
    most = animals or metadata.max_instances
    if not most:
        raise ModelError(
            f"{source} does not contain the maximum number of animals in an image; add "
            "--animals 2"
        )

    # From the values of the peaks back to the confidence maps in which they were found.
    made = _makers(network)
    best = made.get("peak_vals")
    kept = made.get(best.input[0]) if best is not None else None
    if (
        best is None
        or best.op_type != "TopK"
        or kept is None
        or kept.op_type != "Where"
    ):
        raise _not_found(metadata, source)
    name = _before_flattening(made, kept.input[1])

    # The fields are what is sampled along lines, before it gets its extra axes.
    fields = set()
    for node in network.graph.node:
        if node.op_type == "GridSample":
            value = node.input[0]
            while value in made and made[value].op_type in ("Unsqueeze", "Gather"):
                value = made[value].input[0]
            fields.add(value)
    if not name or len(fields) != 1:
        raise _not_found(metadata, source)

    (field,) = fields
    outputs = [
        _output(name, "n", "part", "h", "w"),
        _output(field, "n", "xy", "v", "u"),
    ]
    del network.graph.output[:]
    network.graph.output.extend(outputs)

    maps = _maps(name, metadata, source)
    stride = configured(source, "head_configs", "bottomup", "pafs", "output_stride")
    grouped = AnimalSection(
        fields=field,
        stride=metadata.stride(stride or metadata.output_stride, source),
        edges=metadata.edges,
        most=most,
        floor=metadata.peak_threshold or FLOOR,
        grouping="sleap",
    )
    return {"heatmaps": maps, "animals": grouped}


def _maps(name: str, metadata: Metadata, source: Path) -> HeatmapSection:
    stride = metadata.stride(metadata.output_stride, source)
    sigma = configured(source, "head_configs", metadata.model_type, "confmaps", "sigma")
    return HeatmapSection(
        output=name,
        stride=stride,
        sigma=sigma or SIGMA,
        origin=0,
        values="scores",
        centroid=SQUARE,
    )


def _makers(network: Any) -> dict[str, Any]:
    """Return the operation that makes each value."""
    return {name: node for node in network.graph.node for name in node.output}


def _before_flattening(made: dict[str, Any], value: str) -> str:
    """Return the maps that were flattened to this value; empty: it is none."""
    flat = made.get(value)
    return str(flat.input[0]) if flat and flat.op_type == "Reshape" else ""


def _not_found(metadata: Metadata, source: Path) -> ModelError:
    return ModelError(
        f"{source / NETWORK}: its confidence maps are not found; it was tried with "
        f"exports of SLEAP-NN 0.3.5, and this is of {metadata.sleap_nn_version}"
    )


def _top_down(
    network: Any, metadata: Metadata, source: Path, animals: int
) -> dict[str, Any]:
    """Refine the points; select the first animals, those with the surest centres."""
    onnx = onnx_package()
    most = max(1, animals)
    if most > (metadata.max_instances or most):
        raise ModelError(
            f"{source}: the network was exported for {metadata.max_instances} animals; export "
            f"it with --max-instances {most}"
        )
    parts, windows = len(metadata.node_names), metadata.max_instances or 0
    points_name = refine_top_down(network, metadata.crop_size, parts, windows)
    sources = {"peaks": points_name or "peaks", "peak_vals": "peak_vals"}
    first = onnx.numpy_helper.from_array(np.arange(most), "first_animals")
    network.graph.initializer.append(first)
    for name, value in sources.items():
        node = onnx.helper.make_node(
            "Gather", [value, "first_animals"], [f"{name}_of_first"], axis=1
        )
        network.graph.node.append(node)
    points = _output("peaks_of_first", "n", "animal", "part", "xy")
    sure = _output("peak_vals_of_first", "n", "animal", "part")
    network.graph.output.extend([points, sure])
    del network.graph.output[:-2]
    return {
        "coordinates": CoordinateSection(
            output="peaks_of_first",
            confidences="peak_vals_of_first",
            scale=[1.0, 1.0],
            animals=most,
            values="scores",
        )
    }


def _output(name: str, *shape: str) -> Any:
    onnx = onnx_package()
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _unknown(
    network: Any, metadata: Metadata, source: Path, animals: int
) -> dict[str, Any]:
    kind = metadata.model_type
    advice = f"{', '.join(_KINDS)} can"
    if kind == "centroid":
        advice = (
            "it finds only centres of animals. Export it together with its network of "
            "cropped windows: "
            "`sleap-nn export CENTROID_FOLDER CENTERED_INSTANCE_FOLDER`"
        )
    elif kind.startswith("multi_class"):
        advice = (
            "its classes, which identify animals, are not read here. Train the same without "
            "classes, and give the animals names: [Animals] NAMES"
        )
    raise ModelError(
        f"{source}: SLEAP-NN's {kind} networks can't be imported; {advice}"
    )


_KINDS: dict[str, Callable[[Any, Metadata, Path, int], dict[str, Any]]] = {
    "single_instance": _single,
    "centered_instance": _single,
    "topdown": _top_down,
    "bottomup": _bottom_up,
}
_OF_SEVERAL = ("topdown", "bottomup")


def _size(network: Any, metadata: Metadata, source: Path) -> tuple[int, int]:
    """Return width and height that the network has; ModelError when it takes any."""
    if metadata.model_type == "centered_instance" and metadata.crop_size:
        return metadata.crop_size[1], metadata.crop_size[0]
    sides = network.graph.input[0].type.tensor_type.shape.dim[2:4]
    height, width = (int(side.dim_value) for side in sides)
    if not (height and width):
        raise ModelError(
            f"{source}: the network takes images of any size; say which is analysed: "
            "--size 640x480 (what the training configuration calls max_stride must "
            "divide both)"
        )
    return width, height
