"""List what each animal has reached in its experiments, and store weights.

    python utils/ListAnimals.py
    python utils/ListAnimals.py --folder animals --animal m1 --weight 21.4

The folder is PROGRESS_FOLDER of [Session] in the settings, unless --folder names another one.
docs/experiments.md describes it.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.visible_text import visible
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.recording.animal_file import (
    Animal,
    AnimalEntry,
    animal_file,
    animal_in_use,
    animals_in,
    read_animal,
    write_animal,
)
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, program_options


@program_options
class AnimalOptions:
    """The folder of the animals, and a weight to store."""

    settings: SettingsFile = settings_file()
    folder: Path | None = option(default=None, metavar="FOLDER")
    """Folder of the animals' files; default: PROGRESS_FOLDER of [Session] in the settings."""
    animal: str = option(default="", metavar="NAME")
    """Only this animal."""
    weight: float | None = option(default=None, gt=0, metavar="G")
    """Store this weight of the animal, in grams."""

    def __post_init__(self) -> None:
        if self.weight is not None and not self.animal:
            raise DeepLabStreamError("weight needs animal")


def list_animals(options: AnimalOptions) -> int:
    """Print a line for each animal and experiment; return 1 if a file can't be read."""
    folder = options.folder or load(options.settings).subject.progress_folder
    if folder is None:
        raise DeepLabStreamError(
            f"{options.settings}: [Session] PROGRESS_FOLDER is empty; name a folder there or "
            "with --folder"
        )
    if options.weight is not None:
        _weigh(animal_file(folder, options.animal), options.weight)

    files = [*animals_in(folder)]
    if options.animal:
        files = [animal_file(folder, options.animal)]
    failed = 0
    for file in files:
        try:
            lines = [*_lines(read_animal(file))]
        except DeviceError as error:
            lines, failed = [str(error)], 1
        print(*map(visible, lines), sep="\n")
    if not files:
        print(f"{folder} has no animals yet")
    return failed


def _weigh(file: Path, weight_g: float) -> None:
    with animal_in_use(file):
        now = datetime.now().astimezone()
        entry = AnimalEntry(time=now, weight_g=weight_g)
        write_animal(file, read_animal(file).after(entry))


def _lines(animal: Animal) -> Iterator[str]:
    head = animal.animal
    if (weighed := animal.weight) is not None:
        head += f": {weighed.weight_g:g} g ({weighed.time:%Y-%m-%d})"
    yield head
    for name in animal.experiments:
        values = animal.values(name).items()
        last = animal.last(name)
        shown = ", ".join(f"{key} = {word}" for key, word in values)
        since = f" (since {last.time:%Y-%m-%d %H:%M})" if last else ""
        yield f"    {name}: {shown}{since}"


PROGRAM = Program(AnimalOptions, list_animals, __doc__, "ListAnimals")
