"""An ONNX network's graph: made fit for a runtime, and known again."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.runtimes.compute_packages import package

if TYPE_CHECKING:
    from onnx import ModelProto


def any_size(network: Path) -> bytes:
    """Return the network with the height and width of its pictures left open.

    Whether its operations then fit any size is seen when it runs.
    """
    model = _read(network, "looking at pictures of another size than the network's")
    for value in (*model.graph.input, *model.graph.output):
        sizes = value.type.tensor_type.shape.dim
        channel_first = value.name != "images"
        for place in (2, 3) if channel_first else (1, 2):
            if place < len(sizes):
                sizes[place].dim_param = f"{value.name}_{place}"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def layers(network: Path) -> str:
    """Return a fingerprint of the network's operations and sizes, whatever its weights."""
    model = _read(network, "knowing a network's layers")
    digest = hashlib.sha256()
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        digest.update(part.SerializeToString(deterministic=True))
    for weights in model.graph.initializer:
        words = weights.name, weights.data_type, list(weights.dims)
        digest.update(repr(words).encode())
    return digest.hexdigest()


def _read(network: Path, purpose: str) -> "ModelProto":
    onnx = package("onnx", purpose)
    try:
        return cast("ModelProto", onnx.load(str(network)))
    except Exception as error:  # protobuf's errors have no ancestor of their own
        raise ModelError(f"{network} can't be read as ONNX") from error
