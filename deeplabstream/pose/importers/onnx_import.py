"""Import of a foreign ONNX network with a description file as a model folder.

The preparation of an image, and the conversion of the output, become part of the
graph: the folder's `network.onnx` takes the images of a camera.
Then both are run on the same images and compared.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.importers.graph_operations import give_shape, wrap
from deeplabstream.pose.importers.network_description import NetworkDescription
from deeplabstream.pose.importers.original_network import (
    MEMORY_GB,
    is_too_large,
    original,
)
from deeplabstream.pose.importers.reference_points import TOLERANCE_PX, Reference
from deeplabstream.pose.model.model_folder import (
    IMPORTED,
    NETWORK,
    ModelFolder,
    load_model_folder,
    network_hash,
    save_description,
)
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork

MOST = 1e-3
"""Largest difference of any output value from the original network's."""


def import_onnx(
    network: Path,
    description: NetworkDescription,
    folder: Path,
    about: dict[str, object],
    reference: Reference | None = None,
    tolerance_px: float = TOLERANCE_PX,
    accept_differences: bool = False,
) -> ModelFolder:
    """Write the model into a folder (see `drafted`); return it as loaded again.

    The graph is compared with the network here. Only a `reference` shows whether points
    equal those of the training program: `tolerance_px` is the limit; differences are
    noted in `about` where they are accepted.
    ModelError gives the reason.
    """
    skeleton = Skeleton(
        tuple(description.bodyparts),
        tuple((one, other) for one, other in description.edges),
    )
    fitting = description.input.fitting
    try:
        wrapped = wrap(network, description)
        images, theirs = _theirs(network, description)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NETWORK).write_bytes(give_shape(wrapped, theirs.shape[1:]))
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}") from error
    model = ModelFolder(
        folder,
        skeleton,
        fitting,
        description.decoder(),
        description.threshold,
        network_hash(folder / NETWORK),
        {"source": description.source, "licence": description.licence, **about},
        frames=description.frames,
        imported=IMPORTED,
    )

    # First the graph against the original on noise, then the points on real frames.
    _check_size(network, model, theirs)
    check(network, model, images, theirs)
    if reference is not None:
        compared = reference.check(model, tolerance_px, accept_differences)
        model = replace(model, about={**model.about, "compared": compared})
    save_description(model)
    return load_model_folder(folder)


def _theirs(
    network: Path, description: NetworkDescription
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return two images, or as many as a context needs, and the original's output."""
    size = (description.input.height, description.input.width, 3)
    count = max(2, description.frames + 1)
    images = np.random.default_rng(0).integers(0, 256, (count, *size), np.uint8)
    try:
        return images, original(network, description, images)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        if is_too_large(error):
            raise ModelError(
                f"{network} needs more than {MEMORY_GB} GB of memory for one image: "
                "export it for a smaller input"
            ) from error
        reason = " ".join(str(error).split())[:400]
        raise ModelError(f"{network} can't be run as described: {reason}") from error


def _check_size(network: Path, model: ModelFolder, theirs: NDArray[np.float32]) -> None:
    """Raise ModelError when the output's shape is not the described one."""
    accepted, given = model.output_shapes, theirs.shape[1:]
    if given not in accepted:
        shapes = ("x".join(map(str, shape)) for shape in (given, accepted[0]))
        raise ModelError(
            "{} gives an output of {} (channels, rows, columns), but the body parts, input "
            "size and stride of the description make {}: correct it".format(
                network, *shapes
            )
        )


def check(
    network: Path,
    model: ModelFolder,
    images: NDArray[np.uint8],
    theirs: NDArray[np.float32],
) -> None:
    """Run the imported network, also on two images at once; ModelError: the outputs differ."""
    imported = OnnxNetwork(model, "cpu", 0)
    for count in (1, 2) if model.frames == 1 else (len(images),):
        try:
            ours = imported.run(images[:count])
        # ONNX Runtime's exceptions have no common base class
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{network} can't take {count} images at once; export it with an open "
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
                "images"
            )
