"""Animal file: what belongs to an animal and not to a rig, such as its stage of shaping."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, field, replace
from datetime import datetime
from pathlib import Path

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.files.foreign_files import read_json

_NAME = re.compile(r"\w+([ .-]+\w+)*")
"""Pattern of the names of animals that can have a file."""
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?", re.IGNORECASE)
"""Pattern of the names that mean a device in Windows."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class RememberedTraits:
    """Traits of an animal in a run, seen by a camera while its name was certain.

    Files of version 2.0.0.dev0 and earlier have no marks and no length.
    """

    camera: str
    features: tuple[float, ...]
    """Its coat: see `deeplabstream.pose.tracking.identity_evidence.Coat`."""
    views: int
    marks: tuple[float, ...] = ()
    """See `deeplabstream.pose.tracking.identity_evidence.Traits`."""
    length_px: float = 0.0


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class AnimalEntry:
    """A change in the file of an animal."""

    time: datetime
    experiment: str = ""
    """NAME of the experiment; empty: a weight or a coat."""
    values: Mapping[str, str] = field(default_factory=dict)
    """New values of settings of the experiment, by key."""
    run: str = ""
    """Run folder."""
    weight_g: float | None = None
    coat: RememberedTraits | None = None


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Animal:
    """An animal, with all changes in their order."""

    animal: str
    history: tuple[AnimalEntry, ...] = ()

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments whose values it keeps."""
        return tuple({entry.experiment: 0 for entry in self.history if entry.values})

    @property
    def weight(self) -> AnimalEntry | None:
        """The last entry with a weight; None: there is none."""
        weights = [it for it in self.history if it.weight_g is not None]
        return weights[-1] if weights else None

    def values(self, experiment: str) -> dict[str, str]:
        """Return the newest values of the settings of an experiment, by key."""
        found: dict[str, str] = {}
        for entry in self.history:
            if entry.experiment == experiment:
                found |= entry.values
        return found

    def last(self, experiment: str) -> AnimalEntry | None:
        """Return the last entry of an experiment; None: there is none."""
        entries = [it for it in self.history if it.experiment == experiment]
        return entries[-1] if entries else None

    def after(self, entry: AnimalEntry) -> "Animal":
        """Return it with one more entry."""
        return replace(self, history=(*self.history, entry))


def animal_file(folder: Path, animal: str) -> Path:
    """Return the file of an animal; DeviceError: its name can't be that of a file."""
    if not _NAME.fullmatch(animal):
        raise DeviceError(
            f"[Session] ANIMAL = {animal}: with PROGRESS_FOLDER, a name has letters, digits, "
            "and single spaces, dots or - between them"
        )
    if _RESERVED.fullmatch(animal):
        raise DeviceError(
            f"[Session] ANIMAL = {animal}: Windows has no file of that name; use another one"
        )
    return folder / f"{animal}.json"


def read_animal(file: Path) -> Animal:
    """Return the animal of a file, or one without entries.

    DeviceError: the file can't be read, or is of another animal.
    """
    try:
        found = Animal(**read_json(file))
    except FileNotFoundError:
        return Animal(animal=file.stem)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is damaged"
        raise DeviceError(f"{file} can't be read: {reason}") from error
    # some disks do not tell M1.json from m1.json
    if found.animal != file.stem:
        raise DeviceError(
            f"{file} is of the animal {found.animal}: names of animals must differ in more "
            "than case"
        )
    return found


def write_animal(file: Path, animal: Animal) -> None:
    """Write the file of an animal in one step, to the disk; DeviceError: it can't be written."""
    entries = [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(entry).items()
            if value not in ("", None, {})
        }
        for entry in animal.history
    ]
    content = {"animal": animal.animal, "history": entries}
    write_json(file, content, through_power_cut=True)


@contextmanager
def animal_in_use(file: Path) -> Iterator[None]:
    """Refuse other runs of the animal for the block; DeviceError: it is in one."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise DeviceError(f"{file.parent} can't be made: {reason}") from error
    lock = exclusive(file, 0.0)
    try:
        lock.__enter__()
    except BeingWrittenError as error:
        raise DeviceError(
            f"The animal {file.stem} is in another run: {file} is in use"
        ) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def animals_in(folder: Path) -> Iterator[Path]:
    """Yield the files of all animals in a folder."""
    yield from sorted(path for path in folder.glob("*.json") if path.name[0] != ".")
