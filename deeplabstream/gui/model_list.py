"""Model list: networks and ensembles that a person can choose from."""

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
        """Its name, and of how many networks it consists."""
        name = self.path.name
        return f"{name} ({self.members} networks)" if self.members else name


def found_models(models: Path) -> list[Found]:
    """Return what is in the folder `models`, of the rig in use and of the program.

    A name that was found is left out in later folders, as `find_model` would.
    """
    found: dict[str, Found] = {}
    for place in dict.fromkeys([models, *model_places()]):
        for each in _in(place):
            found.setdefault(each.path.name, each)
    return list(found.values())


def _in(place: Path) -> Iterator[Found]:
    try:
        folders = sorted(each for each in place.iterdir() if each.is_dir())
        for folder in folders:
            if (folder / DESCRIPTION).is_file():
                yield Found(folder)
            elif several := members(folder):
                yield Found(folder, len(several))
    except OSError:  # there is no such folder
        return
