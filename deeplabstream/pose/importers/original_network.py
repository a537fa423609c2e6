"""Output of the original foreign network, with input and output converted by numpy alone.

The imported network is compared with it.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.importers.graph_operations import HALF
from deeplabstream.pose.importers.network_description import (
    HeatmapSection,
    NetworkDescription,
    OffsetSection,
    no_outputs,
)
from deeplabstream.pose.runtimes.compute_packages import package

MEMORY_GB = 4
"""Memory limit for a foreign network, because a small file can request any amount."""
_KINDS: dict[str, type[np.generic]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float16)": np.float16,
}


def original(
    network: Path, description: NetworkDescription, images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return the output of the original network, arranged for the decoder.

    Parameters
    ----------
    network
        The ONNX file.
    description
        Its description.
    images
        (n, height, width, 3), BGR, of the network's input size.

    Returns
    -------
    output
        (n, *shape), as the imported network must give it.
    """
    ort = package("onnxruntime", "importing networks")
    _limit_memory()

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.use_env_allocators", "1")
    session = ort.InferenceSession(
        str(network), sess_options=options, providers=["CPUExecutionProvider"]
    )

    # The network's input, as the program that trained it prepares images.
    x: NDArray[np.float32] = images.astype(np.float32)
    if description.input.colour == "RGB":
        x = x[..., ::-1]
    elif description.input.colour == "GREY":
        x = x @ np.array([[0.114], [0.587], [0.299]], np.float32)
    mean, std = (
        np.array(values, np.float32)
        for values in (description.input.mean, description.input.std)
    )
    x = (x - mean) / std
    if description.input.layout == "NCHW":
        x = x.transpose(0, 3, 1, 2)

    (given,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    kind = _KINDS.get(given.type, np.float32)
    if kind is np.uint8:
        x = np.floor(x + np.float32(HALF))

    # One image at a time, as live: some networks accept no batches. A network of
    # consecutive frames gets all of them at once.
    parts = x[None] if description.frames > 1 else x[:, None]
    singly = [
        session.run(names, {given.name: np.ascontiguousarray(part, kind)})
        for part in parts
    ]
    outputs = {
        name: np.concatenate([run[place] for run in singly])
        for place, name in enumerate(names)
    }
    return _arranged(description, outputs, names)


@cache
def _limit_memory() -> None:
    """Limit the memory of sessions that use this process's allocator, once."""
    ort = package("onnxruntime", "importing networks")
    place = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    limits = ort.OrtArenaCfg(MEMORY_GB * 2**30, -1, -1, -1)
    ort.create_and_register_allocator(place, limits)


def is_too_large(error: Exception) -> bool:
    """Return whether ONNX Runtime failed to allocate: `MEMORY_GB`, or a tensor above 4 GiB."""
    return any(text in str(error) for text in _REFUSALS)


_REFUSALS = ("Available memory of", "output tensor would require more than")


def _arranged(
    description: NetworkDescription,
    outputs: dict[str, NDArray[Any]],
    names: Sequence[str],
) -> NDArray[np.float32]:
    if it := description.offsets:
        scores, moved = outputs[it.scores], outputs[it.offsets]
        if it.layout == "NHWC":
            scores, moved = scores.transpose(0, 3, 1, 2), moved.transpose(0, 3, 1, 2)
        scores = _sigmoid(scores) if it.values == "logits" else scores
        maps = [scores, moved[:, ::2], moved[:, 1::2]]
        return np.concatenate([*maps, *_fields(description, outputs, it)], axis=1)
    if own := description.heatmaps:
        values = outputs[own.output or names[0]]
        if own.layout == "NHWC":
            values = values.transpose(0, 3, 1, 2)
        if own.values == "logits":
            values = _sigmoid(values)
        elif own.values == "mass":
            values = values * np.float32(2 * np.pi * own.sigma**2)
        values = np.asarray(values, np.float32)
        return np.concatenate([values, *_fields(description, outputs, own)], axis=1)
    if coordinates := description.coordinates:
        parts = coordinates.animals * len(description.bodyparts)
        flat = outputs[coordinates.output or names[0]].reshape(-1, parts, 2)
        points = flat * np.array(coordinates.scale, np.float32) + np.float32(
            coordinates.origin
        )
        unseen = np.isnan(points)
        sure = 1 - unseen.max(axis=2, keepdims=True)
        if coordinates.confidences:
            sure = outputs[coordinates.confidences].reshape(-1, parts, 1)
        points = np.where(unseen, 0, points)
        return np.asarray(np.concatenate([points, sure], axis=2), np.float32)
    for plain in description.others.values():
        arrays = [outputs[name] for name in plain.outputs]
        if plain.layout == "NHWC":
            arrays = [values.transpose(0, 3, 1, 2) for values in arrays]
        return np.asarray(np.concatenate(arrays, axis=1), np.float32)
    raise no_outputs()


def _fields(
    description: NetworkDescription,
    outputs: dict[str, NDArray[Any]],
    maps: HeatmapSection | OffsetSection,
) -> list[NDArray[np.float32]]:
    """Return the fields in a list, if any, with cells as large as those of the maps."""
    if (animals := description.animals) is None:
        return []
    fields = outputs[animals.fields]
    if maps.layout == "NHWC":
        fields = fields.transpose(0, 3, 1, 2)
    times = (animals.stride or maps.stride) / maps.stride
    for axis in (2, 3):
        if times != 1:
            most = fields.shape[axis] - 1
            at = np.arange(int((most + 1) * times)) / times
            low = np.minimum(at.astype(int), most)
            share = np.clip(at - low, 0, 1).reshape(-1, *[1] * (3 - axis))
            near, far = (
                fields.take(places, axis) for places in (low, np.minimum(low + 1, most))
            )
            fields = near + (far - near) * share
    return [np.asarray(fields, np.float32)]


def _sigmoid(x: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)
