"""A foreign ONNX network, described by a short file, made into a model folder.

What has to be done to a picture before the network, and to its output after it, becomes
part of the graph: the folder's `network.onnx` takes pictures as they come from a camera.
Then both are run on the same pictures and compared.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.pose import Skeleton
from pose.fitting import Fitting
from pose.heatmaps import Heatmaps
from pose.importers.description import Description
from pose.importers.graph import HALF, give_shape, wrap
from pose.importers.reference import Reference
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
_KINDS: dict[str, type[np.generic]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float16)": np.float16,
}


def import_onnx(
    network: Path,
    words: Description,
    folder: Path,
    about: dict[str, object],
    reference: Reference | None = None,
) -> ModelFolder:
    """Write the model folder; return it as loaded again. ModelError says what is wrong.

    With a `reference`, the original's own points are compared too.
    """
    if (folder / "model.json").exists():
        raise ModelError(f"{folder} holds a model already; name a new folder")
    skeleton = Skeleton(
        tuple(words.bodyparts), tuple((one, other) for one, other in words.bones)
    )
    fitting = Fitting(words.input.height, words.input.width)
    try:
        wrapped = wrap(network, words)
        pictures, theirs = _theirs(network, words)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NETWORK).write_bytes(give_shape(wrapped, theirs.shape[1:]))
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
        check(network, model, pictures, theirs)
        if reference is not None:
            said = {**model.about, "compared": reference.check(model)}
            model = replace(model, about=said)
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


def _theirs(
    network: Path, words: Description
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return two pictures, and what the original gives for them."""
    size = (words.input.height, words.input.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (2, *size), np.uint8)
    try:
        return pictures, original(network, words, pictures)
    except Exception as error:  # ONNX Runtime's have no common ancestor
        reason = str(error).splitlines()[0]
        raise ModelError(f"{network} can't be run as described: {reason}") from error


def check(
    network: Path,
    model: ModelFolder,
    pictures: NDArray[np.uint8],
    theirs: NDArray[np.float32],
) -> None:
    """Run the imported one too, on two at once too; ModelError when they differ."""
    imported = OnnxNetwork(model, "cpu", 0)
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
    kind = _KINDS.get(given.type, np.float32)
    if kind is np.uint8:
        x = np.floor(x + np.float32(HALF))
    singly = [
        session.run(names, {given.name: np.ascontiguousarray(one[None], kind)})
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
        parts = len(words.bodyparts)
        flat = outputs[say.output or names[0]].reshape(-1, parts, 2)
        points = flat * np.array(say.scale, np.float32) + np.float32(say.origin)
        unseen = np.isnan(points)
        sure = 1 - unseen.max(axis=2, keepdims=True)
        if say.confidences:
            sure = outputs[say.confidences].reshape(-1, parts, 1).clip(0, 1)
        points = np.where(unseen, 0, points)
        return np.asarray(np.concatenate([points, sure], axis=2), np.float32)
    raise ModelError("the description says no way to read points")


def _sigmoid(x: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)
