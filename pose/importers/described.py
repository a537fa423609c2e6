"""A foreign ONNX network, described by a short file, made into a model folder.

What has to be done to a picture before the network, and to its output after it, becomes
part of the graph: the folder's `network.onnx` takes pictures as they come from a camera.
Then both are run on the same pictures and compared.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.pose import Skeleton
from pose.fitting import Fitting
from pose.heatmaps import Heatmaps
from pose.importers.description import Description
from pose.importers.graph import wrap
from pose.model_folder import (
    NETWORK,
    ModelFolder,
    load_model_folder,
    network_hash,
    save_description,
)
from pose.onnx_runtime import OnnxNetwork
from pose.reading import Coordinates, Decoder, Offsets

MOST = 1e-3
"""What any value of the imported network may differ by from the original's."""


def import_onnx(
    network: Path, words: Description, folder: Path, about: dict[str, object]
) -> ModelFolder:
    """Write the model folder; return it as loaded again. ModelError says what is wrong."""
    if (folder / "model.json").exists():
        raise ModelError(f"{folder} holds a model already; name a new folder")
    skeleton = Skeleton(
        tuple(words.bodyparts), tuple((one, other) for one, other in words.bones)
    )
    fitting = Fitting(words.input.height, words.input.width)
    try:
        content = wrap(network, words)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NETWORK).write_bytes(content)
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}") from error
    model = ModelFolder(
        folder,
        skeleton,
        fitting,
        decoder_of(words),
        words.threshold,
        network_hash(folder / NETWORK),
        {"source": words.source, "licence": words.licence, **about},
    )
    try:
        check(network, words, model)
    except ModelError:
        (folder / NETWORK).unlink()
        raise
    save_description(model)
    return load_model_folder(folder)


def decoder_of(words: Description) -> Decoder:
    """Return how points are read off what the imported network gives."""
    if maps := words.heatmaps:
        return Heatmaps(maps.stride, maps.sigma, maps.origin)
    if it := words.offsets:
        return Offsets(it.stride, it.origin, it.scale)
    return Coordinates()


def check(network: Path, words: Description, model: ModelFolder) -> None:
    """Run both on the same pictures, two at once too; ModelError when they differ."""
    size = (model.fitting.height, model.fitting.width, 3)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, *size), np.uint8)
    imported = OnnxNetwork(model, "cpu", 0)
    try:
        theirs = original(network, words, pictures)
    except Exception as error:  # ONNX Runtime's have no common ancestor
        reason = str(error).splitlines()[0]
        raise ModelError(f"{network} can't be run as described: {reason}") from error
    for count in (1, 2):
        try:
            ours = imported.run(pictures[:count])
        except Exception as error:  # ONNX Runtime's have no common ancestor
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{network} can't take {count} pictures at once; export it with an open "
                f"batch size: {reason}"
            ) from error
        if ours.shape != theirs[:count].shape:
            raise ModelError(
                f"{network} gives {list(theirs.shape[1:])}, which became "
                f"{list(ours.shape[1:])}: the description does not fit it"
            )
        off = float(np.abs(ours - theirs[:count]).max())
        if not off <= MOST * max(1.0, float(np.abs(theirs).max())):
            raise ModelError(
                f"the imported network differs from {network} by {off:.2g} on the same "
                "pictures"
            )


def original(
    network: Path, words: Description, pictures: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return what the original gives, prepared and arranged by numpy alone."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(
        str(network), sess_options=options, providers=["CPUExecutionProvider"]
    )
    x: NDArray[np.float32] = pictures.astype(np.float32)
    if words.input.colour == "RGB":
        x = x[..., ::-1]
    elif words.input.colour == "GREY":
        x = x @ np.array([[0.114], [0.587], [0.299]], np.float32)
    mean, std = (
        np.array(each, np.float32) for each in (words.input.mean, words.input.std)
    )
    x = (x - mean) / std
    if words.input.layout == "NCHW":
        x = x.transpose(0, 3, 1, 2)
    (given,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    singly = [
        session.run(names, {given.name: np.ascontiguousarray(one[None], np.float32)})
        for one in x
    ]
    outputs = {
        name: np.concatenate([run[place] for run in singly])
        for place, name in enumerate(names)
    }
    return _arranged(words, outputs, names)


def _arranged(
    words: Description, outputs: dict[str, NDArray[Any]], names: Sequence[str]
) -> NDArray[np.float32]:
    if it := words.offsets:
        scores, moved = outputs[it.scores], outputs[it.offsets]
        if it.layout == "NHWC":
            scores, moved = scores.transpose(0, 3, 1, 2), moved.transpose(0, 3, 1, 2)
        scores = _sigmoid(scores) if it.values == "logits" else scores
        return np.concatenate([scores, moved[:, ::2], moved[:, 1::2]], axis=1)
    if maps := words.heatmaps:
        values = outputs[maps.output or names[0]]
        if maps.layout == "NHWC":
            values = values.transpose(0, 3, 1, 2)
        if maps.values == "logits":
            values = _sigmoid(values)
        elif maps.values == "mass":
            values = values * np.float32(2 * np.pi * maps.sigma**2)
        return np.asarray(np.clip(values, 0, 1), np.float32)
    if say := words.coordinates:
        flat = outputs[say.output or names[0]].reshape(-1, len(words.bodyparts), 2)
        points = flat * np.array(say.scale, np.float32) + np.float32(say.origin)
        return np.concatenate([points, np.ones_like(points[..., :1])], axis=2)
    raise ModelError("the description says no way to read points")


def _sigmoid(x: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)
