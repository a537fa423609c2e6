"""What a script in `pose/importers/scripts` wrote where a network was trained.

`network.onnx`, `description.json`, and `reference.npz`: pictures, and where the program
that trained the network saw the body parts in them. In `detector/` the same of a network
that finds the animal for it.
"""

from pathlib import Path

from pose.comparing import save_pictures
from pose.importers.described import import_onnx
from pose.importers.description import read_description
from pose.importers.reference import read_reference
from pose.model_folder import DETECTOR, NETWORK, ModelFolder, network_hash

WORDS = "description.json"
REFERENCE = "reference.npz"
SCRIPTS = Path(__file__).parent / "scripts"


def typed(path: Path) -> str:
    """Return the path as it is typed on a command line."""
    return f'"{path}"' if " " in str(path) else str(path)


def import_exported(source: Path, folder: Path, licence: str) -> ModelFolder:
    """Write the model into a folder (see `drafted`), its detector into one in it.

    ModelError says what is wrong with what is in `source`.
    """
    if (source / DETECTOR / WORDS).is_file():
        import_exported(source / DETECTOR, folder / DETECTOR, licence)
    words = read_description(source / WORDS)
    if licence:
        words = words.model_copy(update={"licence": licence})
    reference = read_reference(source / REFERENCE, words)
    about: dict[str, object] = {
        "imported_from": {
            "folder": source.name,
            "sha256": network_hash(source / NETWORK),
        },
        "description": words.model_dump(mode="json", exclude_none=True),
    }
    if words.left_out:
        about["left_out"] = words.left_out
    model = import_onnx(source / NETWORK, words, folder, about, reference)
    if words.pictures == "own":
        save_pictures(model, reference.pictures)
    return model
