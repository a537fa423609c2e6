"""Animal memory: traits that animals keep for the next start, in the file of each animal.

At Start Stream they are written into the settings that the run uses, so that the record names
them and a replay repeats them (`COATS`, `TAIL_MARKS` and `BODY_LENGTHS` of `[Animals]`).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.plugins.input import TagInput
from deeplabstream.pose.tracking.distinctness import Distinctness, listed
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.pose.tracking.remembered_animals import remembered_of
from deeplabstream.recording.animal_file import (
    Animal,
    AnimalEntry,
    RememberedTraits,
    animal_file,
    animal_in_use,
    read_animal,
    write_animal,
)
from deeplabstream.settings.animals import trait_text
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings


class AnimalMemory:
    """Traits of the animals of a stream, to be stored at its end."""

    def __init__(self) -> None:
        self._rig: Settings | None = None
        self._traits: dict[str, tuple[Traits, ...]] = {}

    def open(self, rig: Settings) -> Settings:
        """Return the settings with the traits of the animals' files.

        DeviceError: a file can't be read, or a name can't be that of a file.
        """
        self._rig, self._traits = None, {}
        folder = rig.subject.progress_folder
        if not rig.animals.remember or folder is None:
            return rig
        animals = [read_animal(animal_file(folder, it)) for it in rig.animals.names]
        coats, marks, lengths = list[str](), list[str](), list[str]()
        for camera in rig.triggers_by_camera():
            for animal, traits in _newest(animals, camera).items():
                coats.append(trait_text(animal, camera, traits.features))
                if traits.marks:
                    marks.append(trait_text(animal, camera, traits.marks))
                if traits.length_px:
                    length = trait_text(animal, camera, [traits.length_px])
                    lengths.append(length)
        keys = {"COATS": coats, "TAIL_MARKS": marks, "BODY_LENGTHS": lengths}
        text = rig.text
        for key, texts in keys.items():
            text = set_value(text, "Animals", key, ", ".join(texts))
        self._rig = parse(text, rig.folder)
        return self._rig

    def receive(self, camera: str, traits: Sequence[Traits]) -> None:
        """Take the traits of a camera's animals, in the order of their names."""
        self._traits[camera] = tuple(traits)

    def store(self, run: Path | None, now: datetime) -> str:
        """Store the traits of a run in the animals' files; return why they can't be stored."""
        rig, found = self._rig, self._traits
        self._rig, self._traits = None, {}
        if rig is None or run is None or not found:
            return ""
        files = [
            animal_file(rig.subject.progress_folder or rig.folder, name)
            for name in rig.animals.names
        ]
        try:
            with ExitStack() as locks:
                # all of them first: traits of one run are compared with each other
                for file in files:
                    locks.enter_context(animal_in_use(file))
                for file, traits in zip(
                    files, zip(*found.values(), strict=True), strict=True
                ):
                    animal = read_animal(file)
                    for camera, it in zip(found, traits, strict=True):
                        kept = RememberedTraits(
                            camera=camera,
                            features=it.coat,
                            views=it.coat_views,
                            marks=it.marks,
                            length_px=it.length_px,
                        )
                        entry = AnimalEntry(time=now, run=str(run), coat=kept)
                        animal = animal.after(entry)
                    write_animal(file, animal)
        except (DeepLabStreamError, OSError) as error:
            return (
                f"[Animals] REMEMBER: the traits of this run were not stored: {error}"
            )
        return ""


def _newest(animals: Sequence[Animal], camera: str) -> dict[str, RememberedTraits]:
    """Return the traits of the newest run that has all animals, else of the newest run.

    Traits of one run were seen in the same light.
    """
    runs: dict[datetime, dict[str, RememberedTraits]] = {}
    for animal in animals:
        for entry in animal.history:
            if entry.coat is not None and entry.coat.camera == camera:
                runs.setdefault(entry.time, {})[animal.animal] = entry.coat
    # they compare by number of animals, then by time
    best = max(runs, key=lambda time: (len(runs[time]), time), default=None)
    return runs[best] if best is not None else {}


def memory_sentences(rig: Settings, camera: str) -> Iterator[tuple[str, bool]]:
    """Yield which animals can be recognised on a camera, and whether that is a warning."""
    if not rig.animals.remember:
        return
    names, traits = rig.animals.names, rig.animals.traits_on(camera)
    where = f"[Camera {camera}] REMEMBER: "
    without = [name for name in names if name not in traits]
    if len(without) == len(names):
        yield f"{where}no earlier run of {listed(names)}, so FIRST names them", True
        return

    readers = any(isinstance(it, TagInput) and it.at for it in rig.inputs.values())
    tagged = [*rig.animals.animal_of_tag.values()] if readers else []
    known_by = f" or a tag is read ({listed(tagged)})" if tagged else ""
    stay = f"their names are unknown until you confirm them{known_by}"
    if without:
        yield (
            f"{where}{listed(without)}: no earlier run with all animals, so none is "
            f"recognised; {stay}",
            True,
        )
        return

    remembered = remembered_of(names, traits)
    if remembered is None:
        yield (
            f"{where}coats of grey and of colour images, so none is recognised; {stay}",
            True,
        )
        return
    if alike := remembered.alike:
        sentence, *_ = Distinctness(alike, ()).sentences(names)
        yield f"{where}{sentence}, so they are not recognised; {stay}", True
    unable = {animal for pair in alike for animal in pair}
    able = [name for number, name in enumerate(names) if number not in unable]
    if able:
        yield (
            f"{where}{listed(able)} can be recognised by {listed(remembered.evidence)}",
            False,
        )
