"""What has to be done to an ONNX network before a runtime takes it."""

from pathlib import Path

from core.errors import ModelError


def any_size(network: Path) -> bytes:
    """Return the network with the height and width of its pictures left open.

    Whether its operations then fit any size is seen when it runs.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelError(
            "pictures of another size than the network's need the package onnx: "
            "pip install onnx"
        ) from error
    model = onnx.load(str(network))
    for value in (*model.graph.input, *model.graph.output):
        sizes = value.type.tensor_type.shape.dim
        channel_first = value.name != "images"
        for place in (2, 3) if channel_first else (1, 2):
            if place < len(sizes):
                sizes[place].dim_param = f"{value.name}_{place}"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())
