"""Training images of a network and of its start networks.

Loads no torch: the window reads it.
"""

from pathlib import Path
from typing import Any

from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import DESCRIPTION, load_model_folder
from deeplabstream.training.lightning_pose.result_tables import PREDICTIONS, read_sets

LEARNED = "held_out_images_learned"
"""Entry of `started_from` in `model.json`: held-out images that start networks were
trained on."""
TRAINED = ("train", "unused")
"""Sets that do not show how a network performs on new images."""


def learned_images(folder: Path) -> set[str]:
    """Return the images that a network, its ensemble or its start network was trained on.

    Of a checkpoint of Lightning Pose, the table of its training is read.
    """
    learned: set[str] = set()
    for network in members(folder) or (folder,):
        if network.suffix == ".ckpt":
            tables = (parent / PREDICTIONS for parent in network.parents)
            table = next((file for file in tables if file.is_file()), None)
        else:
            table = network / PREDICTIONS
        if table is not None and table.is_file():
            sets = read_sets(table).items()
            learned.update(name for name, own in sets if own in TRAINED)
        learned.update(_learned_before(network))
    return learned


def learned_before(folder: Path) -> str:
    """Return a warning about held-out images that a start network was trained on; empty: none."""
    first = next(iter(members(folder)), folder)
    if not (names := _learned_before(first)):
        return ""
    about: Any = load_model_folder(first).about
    start, count = about["started_from"].get("folder"), about["pictures"]["held_out"]
    return (
        f"{len(names)} of {count} held-out images are, by their names, training images of "
        f"{start}, from which this training started: the held-out error may be too low"
    )


def _learned_before(folder: Path) -> list[str]:
    """Return the held-out images in `model.json` that start networks were trained on."""
    if not (folder / DESCRIPTION).is_file():
        return []
    about: Any = load_model_folder(folder).about
    return list((about.get("started_from") or {}).get(LEARNED) or [])
