"""Settings of several animals: `[Animals]`, and the check of their names."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import TriggerName
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.tag_numbers import tag_number
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.settings.validation_messages import guess

MOST = 8
"""Largest number of animals that can be identified."""
_UNNAMED = re.compile(rf"animal([1-{MOST}])")
_NAME = re.compile(r"(?!(trigger|behaviour|input)$)[^\W\d_][\w-]*")


def parse_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names; ValueError: one is not usable as a column name."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a valid name: use letters, digits, - and _, "
                "and begin with a letter; trigger, behaviour and input are "
                "reserved"
            )
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("each animal needs a different name")
    return names


def parse_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return `ANIMAL NUMBER` of each tag; ValueError: it is not that, or there twice."""
    parsed = []
    for words in tags:
        animal, _, number = words.partition(" ")
        if not number:
            raise ValueError(f"{words!r}: expected an animal's name and a tag number")
        parsed.append(f"{animal} {tag_number(number)}")
    numbers = [words.partition(" ")[2] for words in parsed]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ValueError(f"tag {number} is there twice; each tag has one animal")
    return tuple(parsed)


_TRAIT = re.compile(r"(?P<animal>[^@ ]+)@(?P<camera>.+):(?P<numbers>( -?\d+(\.\d+)?)+)")


def parse_coats(coats: tuple[str, ...]) -> tuple[str, ...]:
    """Return `ANIMAL@CAMERA: LEVELS` of each coat; ValueError: it is not that."""
    return _parse_traits(coats, (3, 9), "3 or 9 grey levels")


def parse_marks(marks: tuple[str, ...]) -> tuple[str, ...]:
    """Return `ANIMAL@CAMERA: CONTRASTS` of each tail; ValueError: it is not that."""
    return _parse_traits(marks, (16, 48), "16 or 48 contrasts from -1 to 1", -1, 1)


def parse_lengths(lengths: tuple[str, ...]) -> tuple[str, ...]:
    """Return `ANIMAL@CAMERA: LENGTH` of each body; ValueError: it is not that."""
    return _parse_traits(lengths, (1,), "a length in px above 0", 0.01)


def _parse_traits(
    traits: tuple[str, ...],
    counts: Sequence[int],
    expected: str,
    least: float = 0.0,
    most: float = 1e6,
) -> tuple[str, ...]:
    for words in traits:
        found = _TRAIT.fullmatch(words)
        numbers = [*map(float, found["numbers"].split())] if found else []
        if len(numbers) not in counts or not least <= min(numbers) <= max(numbers) <= (
            most
        ):
            raise ValueError(
                f"{words!r}: expected ANIMAL@CAMERA: and {expected}; Start Stream writes "
                "them"
            )
    return traits


def trait_text(animal: str, camera: str, numbers: Sequence[float]) -> str:
    """Return a trait as `COATS`, `TAIL_MARKS` and `BODY_LENGTHS` have it."""
    return f"{animal}@{camera}: {' '.join(f'{number:g}' for number in numbers)}"


@settings(frozen=True, kw_only=True)
class Animals:
    """Several animals: their names, and how the network's animals are assigned to them."""

    names: Annotated[tuple[str, ...], AfterValidator(parse_names)] = Field(
        (),
        description=(
            f"one name for each animal, {MOST} at most; empty: animal1, animal2 and so on, as "
            "many as the network finds"
        ),
    )
    first: Literal["leftmost", "darkest", "tags"] = Field(
        "leftmost",
        description=(
            "order of the first assignment of names: left to right where the "
            "animals were first found; or dark to pale, once all were seen apart; tags: "
            "each is ambiguous until its tag is read"
        ),
        title="First assignment",
    )
    tags: Annotated[tuple[str, ...], AfterValidator(parse_tags)] = Field(
        (),
        description=(
            "name and RFID tag number of each animal that has one: anna 999_000000001234, "
            "bob 4B00DA8E5C; an [Input NAME] with KIND = RfidReader reads them"
        ),
        title="RFID tags",
    )
    shelters: tuple[TriggerName, ...] = Field(
        (),
        description=(
            "triggers whose REGION is a shelter, in which the camera does not see the "
            "animals. Which animals are in it is remembered: one that leaves is one of "
            "these, and ambiguous until its appearance decides if there are several"
        ),
    )
    appearance: Path | None = Field(
        None,
        description=(
            "folder of utils/LearnAppearance.py: a path, or the name of a folder under "
            "models/. Its network is evidence beside brightness and colour; one that "
            "does not reach its limits is off; empty: none"
        ),
        title="Learned appearance",
    )
    believe_after_s: float = Field(
        0.0,
        ge=0,
        description=(
            "ambiguity timeout (s): after it, identity follows motion alone "
            "where the animals look alike; 0: never, the identity stays ambiguous"
        ),
        title="Identity time-out (s)",
        json_schema_extra={"advanced": True},
    )

    appearance_wait_s: float = Field(
        30.0,
        ge=0,
        description=(
            "longest time (s) that an experiment waits, before it starts, until it is known "
            "which of several animals look alike; then it starts with a warning; 0: it does "
            "not wait"
        ),
        title="Wait for the appearance (s)",
        json_schema_extra={"advanced": True},
    )
    remember: bool = Field(
        False,
        description=(
            "whether animals get their first names by coat, tail marks and body length in an "
            "earlier run, which PROGRESS_FOLDER of [Session] keeps; those that are not "
            "recognised for certain are ambiguous until their tags are read or you confirm "
            "the names. Without an earlier run FIRST counts"
        ),
        title="Remember the animals",
    )
    coats: Annotated[tuple[str, ...], AfterValidator(parse_coats)] = Field(
        (),
        description=(
            "coats by which REMEMBER recognises animals: written by Start Stream into the "
            "settings of the run, for replays"
        ),
        json_schema_extra={"advanced": True},
    )

    tail_marks: Annotated[tuple[str, ...], AfterValidator(parse_marks)] = Field(
        (),
        description="the same of tail marks",
        json_schema_extra={"advanced": True},
    )
    body_lengths: Annotated[tuple[str, ...], AfterValidator(parse_lengths)] = Field(
        (),
        description="the same of body lengths (px)",
        json_schema_extra={"advanced": True},
    )

    def coats_on(self, camera: str) -> dict[str, tuple[float, ...]]:
        """Return the remembered coats on a camera, by animal; empty: none, or not used."""
        return self._remembered(self.coats, camera)

    def traits_on(self, camera: str) -> dict[str, Traits]:
        """Return the remembered traits on a camera, by animal; empty: none, or not used."""
        marks = self._remembered(self.tail_marks, camera)
        lengths = self._remembered(self.body_lengths, camera)
        return {
            animal: Traits(coat, 0, marks.get(animal, ()), *lengths.get(animal, ()))
            for animal, coat in self.coats_on(camera).items()
        }

    def _remembered(
        self, traits: Sequence[str], camera: str
    ) -> dict[str, tuple[float, ...]]:
        found = [_TRAIT.fullmatch(words) for words in traits if self.remember]
        return {
            it["animal"]: tuple(map(float, it["numbers"].split()))
            for it in found
            if it is not None and it["camera"] == camera
        }

    @property
    def animal_of_tag(self) -> dict[str, str]:
        """The animal of each tag number."""
        pairs = (words.partition(" ") for words in self.tags)
        return {number: animal for animal, _, number in pairs}

    @property
    def too_many(self) -> str:
        """A sentence if more animals are named than can be identified; or empty."""
        if len(self.names) <= MOST:
            return ""
        return (
            f"[Animals] NAMES: {len(self.names)} names, expected {MOST} at most; animals "
            "that each live in an arena of their own are named by [Arenas]"
        )

    def of(self, skeleton: Skeleton, animals: int) -> tuple[str, ...]:
        """Return the names of the animals of a network, by their number."""
        if self.names or animals == 1:
            return self.names
        return skeleton.named(animals)

    def problems(self, animals: int, model: str) -> Iterator[str]:
        """Yield a sentence if this network finds too few animals."""
        if len(self.names) > animals:
            limit = "one animal" if animals == 1 else f"up to {animals} animals"
            yield (
                f"[Animals] NAMES: names {len(self.names)} animals, but the "
                f"network {model} finds {limit}. Set MODEL, in [Pose Estimation] "
                f"or in the camera's section, to a network of {len(self.names)} "
                "animals or more (arena_animals for simulated mice), or remove "
                "NAMES"
            )


def animal_number(word: str, names: Sequence[str]) -> int | None:
    """Return the number of an animal, from 1, by its name or number; None: neither.

    `names` are those of [Animals]; without them, the names are animal1, animal2 and so on.
    """
    if word.isdecimal():
        return int(word)
    if word in names:
        return names.index(word) + 1
    unnamed = None if names else _UNNAMED.fullmatch(word)
    return int(unnamed[1]) if unnamed else None


def animal_name_problems(
    named: Sequence[tuple[str, str]], names: tuple[str, ...], count: int = MOST
) -> Iterator[str]:
    """Yield a sentence for each animal that does not exist.

    `named`: where, and its name or number; `names` are those of [Animals], `count` is how
    many animals there can be.
    """
    for where, word in named:
        number = animal_number(word, names)
        if number is None:
            yield (f"{where} = {word}: not in [Animals] NAMES{guess(word, names)}")
        elif word not in names and not 1 <= number <= count:
            ability = "finds one animal" if count == 1 else f"finds {count} animals"
            yield f"{where} = {word}: the network {ability}"
