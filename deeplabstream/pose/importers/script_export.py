"""Import of networks that the scripts of `pose/importers/scripts` have exported.

`network.onnx`, `description.json`, and `reference.npz`: frames, and the points that the
training program finds in them; it stays in the model folder. `detector/` has the same
files of the network that detects the animal, `context/` those of a network for whole
videos, whose input has the neighbours of each frame.
"""

import shutil
from pathlib import Path

from deeplabstream.pose.importers.network_description import read_description
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.importers.reference_points import (
    REFERENCE,
    TOLERANCE_PX,
    read_reference,
)
from deeplabstream.pose.model.model_folder import (
    DETECTOR,
    NETWORK,
    ModelFolder,
    network_hash,
)
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.pose.runtimes.runtime_comparison import save_images

EXPORT_DESCRIPTION = "description.json"
SCRIPTS = Path(__file__).parent / "scripts"


def typed(path: Path) -> str:
    """Return the path as it is typed on a command line."""
    return f'"{path}"' if " " in str(path) else str(path)


def import_exported(
    source: Path,
    folder: Path,
    licence: str,
    tolerance_px: float = TOLERANCE_PX,
    accept_differences: bool = False,
) -> ModelFolder:
    """Write a model, with its detector and context network, into a folder.

    Differences to the reference are noted where they are accepted. ModelError gives
    the reason when the files in `source` can't be used.
    """
    for inner in (DETECTOR, CONTEXT):
        if (source / inner / EXPORT_DESCRIPTION).is_file():
            import_exported(
                source / inner,
                folder / inner,
                licence,
                tolerance_px,
                accept_differences,
            )
    description = read_description(source / EXPORT_DESCRIPTION)
    if licence:
        description = description.model_copy(update={"licence": licence})
    reference = read_reference(source / REFERENCE, description)
    about: dict[str, object] = {
        "imported_from": {
            "folder": source.name,
            "sha256": network_hash(source / NETWORK),
        },
        "description": description.model_dump(mode="json", exclude_none=True),
    }
    if description.left_out:
        about["left_out"] = description.left_out
    model = import_onnx(
        source / NETWORK,
        description,
        folder,
        about,
        reference,
        tolerance_px,
        accept_differences,
    )
    if description.pictures == "own":
        save_images(model, reference.fitted(model.fitting))
    shutil.copyfile(source / REFERENCE, folder / REFERENCE)
    return model
