"""Tag reading: the animals' tags that were read until a frame, and messages on what they show."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deeplabstream.core.journal_entries import TagRead
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.plugins.input import TagInput
from deeplabstream.pose.tracking.tag_evidence import AnimalTag, TagPlace, TagResult
from deeplabstream.settings.animals import animal_number
from deeplabstream.settings.sections import Settings

STALE_S = 1.0
"""Age at which a read is too old for a frame: frames of its time were not analysed."""
AGAIN_S = 60.0
"""Seconds after an alarm about a tag at a reader before the same alarm."""

TakeReads = Callable[[str, int], Sequence[TagRead]]
"""Returns the tags that a reader has read up to a time in ns, each once."""


def no_reads(reader: str, until_ns: int) -> Sequence[TagRead]:
    """Return no tags, as without a reader."""
    return ()


@dataclass
class TagReading:
    """The readers of a rig that have a place in the image of a camera."""

    places: Mapping[str, Sequence[TagPlace]]
    """Places of the readers, by camera."""
    animals: Mapping[str, int]
    """Animal of each tag number."""
    skeleton: Skeleton
    take: TakeReads = no_reads
    unnamed: list[TagRead] = field(default_factory=list, init=False)
    """Tags without an animal, of the last frame."""
    _alarmed_s: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    """By reader and tag: time of the last alarm."""

    def until(self, camera: str, time_ns: int) -> list[AnimalTag]:
        """Return the reads for the next frame of a camera, exposed at `time_ns`.

        Tags without an animal are left out here; `unnamed` has them.
        """
        reads = []
        self.unnamed = []
        for place in self.places.get(camera, ()):
            for read in self.take(place.reader, time_ns):
                if read.number not in self.animals:
                    self.unnamed.append(read)
                elif time_ns - read.received_ns < STALE_S * 1e9:
                    animal = self.animals[read.number]
                    reads.append(AnimalTag(place.reader, animal, read.number))
        return reads

    def messages(
        self, results: Iterable[TagResult], time_s: float
    ) -> Iterator[tuple[str, str]]:
        """Yield kind and text of the notes on the reads of a frame."""
        names = self.skeleton.named(self.skeleton.count)
        for result in results:
            read = result.read
            name = names[read.animal]
            what = f"[Input {read.reader}] tag {read.number} of {name}"
            if result.outcome == "named":
                former = names[result.former]
                was = "" if former == name else f"; its name before was {former}"
                yield "identity", f"{what}: the animal at the reader is {name}{was}"
            elif result.outcome == "no_animal" and self._due(read.reader, read, time_s):
                yield (
                    "alarm",
                    f"{what}: was read, but no animal is at the reader. Is AT the right "
                    "place, or the tag lost?",
                )
        for unnamed in self.unnamed:
            if self._due(unnamed.input, unnamed, time_s):
                yield (
                    "alarm",
                    f"[Input {unnamed.input}] tag {unnamed.number}: no animal has it; add "
                    "it to [Animals] TAGS",
                )

    def _due(self, reader: str, read: AnimalTag | TagRead, time_s: float) -> bool:
        """Return whether an alarm about a tag at a reader is due; it then counts as raised."""
        key = reader, read.number
        if time_s - self._alarmed_s.get(key, -AGAIN_S) < AGAIN_S:
            return False
        self._alarmed_s[key] = time_s
        return True


def tag_reading_of(
    settings: Settings, skeleton: Skeleton, take: TakeReads
) -> TagReading:
    """Return the readers of a rig, their places in px, and whose tags they read."""
    shapes = {shape.trigger: shape for shape in trigger_shapes_of(settings)}
    places: dict[str, tuple[TagPlace, ...]] = {}
    for name, device in settings.inputs.items():
        shape = shapes.get(device.at or "") if isinstance(device, TagInput) else None
        if shape is not None and shape.region is not None:
            place = TagPlace(name, shape.region)
            places[shape.camera] = (*places.get(shape.camera, ()), place)

    animals = {}
    for number, name in settings.animals.animal_of_tag.items():
        animal = animal_number(name, settings.animals.names)
        if animal is not None and 1 <= animal <= skeleton.count:
            animals[number] = animal - 1
    return TagReading(places, animals, skeleton, take)
