"""Model list: networks and ensembles in the model folders of a rig and the program."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.files.rig_folder import model_places
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import DESCRIPTION


@dataclass(frozen=True)
class Found:
    """A model folder, or the folder of an ensemble."""

    path: Path
    members: int = 0
    """Networks of the ensemble; 0: one network."""

    @property
    def label(self) -> str:
        """The name, with the number of networks of an ensemble."""
        name = self.path.name
        return f"{name} ({self.members} networks)" if self.members else name


def found_models(models: Path) -> list[Found]:
    """Return the networks in `models`, in the rig in use, and of the program.

    If several folders contain a name, the first counts, as for `find_model`.
    """
    found: dict[str, Found] = {}
    for place in dict.fromkeys([models, *model_places()]):
        for model in _in(place):
            found.setdefault(model.path.name, model)
    return list(found.values())


def _in(place: Path) -> Iterator[Found]:
    try:
        folders = sorted(path for path in place.iterdir() if path.is_dir())
        for folder in folders:
            if (folder / DESCRIPTION).is_file():
                yield Found(folder)
            elif several := members(folder):
                yield Found(folder, len(several))
    except OSError:  # the folder does not exist
        return
