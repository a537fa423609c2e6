"""Animal blocks: animals that are in one box one after another, each with its own time."""

import re
from dataclasses import dataclass

from deeplabstream.core.daily_span import TIME_OF_DAY, DailySpan, read_daily_span

_BLOCK = re.compile(
    rf"(?P<animal>.*?)\s+(?P<span>{TIME_OF_DAY} *(-|–|to) *{TIME_OF_DAY})"
)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class AnimalBlock:
    """An animal, and the time of day in which it is in the box; None: any."""

    animal: str
    daily: DailySpan | None = None

    def __str__(self) -> str:
        """Return it as it is written in a file."""
        return f"{self.animal} {self.daily or ''}".strip()


@dataclass(frozen=True)
class AnimalBlocks:
    """Animals in the order in which they are in the box; all or none have a time of day."""

    blocks: tuple[AnimalBlock, ...]

    @property
    def timed(self) -> bool:
        """Whether each has a time of day."""
        return self.blocks[0].daily is not None

    @property
    def animals(self) -> tuple[str, ...]:
        """The names of the animals."""
        return tuple(block.animal for block in self.blocks)

    def __str__(self) -> str:
        """Return them as they are written in a file."""
        return ", ".join(map(str, self.blocks))


def read_animal_blocks(text: str) -> AnimalBlocks:
    """Return the blocks of a text; ValueError says what is wrong with it.

    >>> print(read_animal_blocks("m1 09:00-11:00, m2 11:30-13:30"))
    m1 09:00 - 11:00, m2 11:30 - 13:30
    >>> read_animal_blocks("m1, m2").animals
    ('m1', 'm2')
    """
    blocks = [_block(part) for part in text.split(",")]
    names = [block.animal for block in blocks]
    if "" in names:
        raise ValueError("a name is missing; expected animals such as m1, m2")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is there twice")
    if len({block.daily is None for block in blocks}) > 1:
        without = next(block.animal for block in blocks if block.daily is None)
        raise ValueError(
            f"{without} has no time; give all a time, such as {without} 09:00 - 11:00, or none"
        )
    for number, block in enumerate(blocks):
        for other in blocks[:number]:
            if block.daily and other.daily and _overlap(block.daily, other.daily):
                raise ValueError(
                    f"the times of {other.animal} and {block.animal} overlap"
                )
    return AnimalBlocks(tuple(blocks))


def _block(text: str) -> AnimalBlock:
    text = text.strip()
    found = _BLOCK.fullmatch(text)
    if found is not None:
        return AnimalBlock(found["animal"], read_daily_span(found["span"]))
    if re.search(TIME_OF_DAY, text):
        raise ValueError(
            f"{text!r}: expected an animal and two times, m1 09:00 - 11:00"
        )
    return AnimalBlock(text)


def _overlap(one: DailySpan, other: DailySpan) -> bool:
    begin, length = _minutes(one)
    other_begin, other_length = _minutes(other)
    return (other_begin - begin) % _DAY_MINUTES < length or (
        begin - other_begin
    ) % _DAY_MINUTES < other_length


def _minutes(span: DailySpan) -> tuple[int, int]:
    """Return begin and length in minutes."""
    begin = 60 * span.begin.hour + span.begin.minute
    end = 60 * span.end.hour + span.end.minute
    return begin, (end - begin) % _DAY_MINUTES
