"""Animal schedule: which animal is in a box, or is the next one, and when it is its turn.

Each block of an animal has a `BoxSchedule` of its own: that of its time of day, or one run.
Between two blocks the box does not run, so that its outputs are off. The next block starts only
after a user has confirmed that the animal is in the box, unless NEXT_ANIMAL = automatic.
"""

from dataclasses import replace
from datetime import datetime

from deeplabstream.core.animal_blocks import AnimalBlocks
from deeplabstream.core.clock import Calendar, Clock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.rack.box_schedule import BoxSchedule
from deeplabstream.settings.rack_file import BoxSection


class AnimalSchedule(BoxSchedule):
    """What is due for a box with ANIMALS."""

    def __init__(
        self, box: BoxSection, animals: AnimalBlocks, clock: Clock, calendar: Calendar
    ) -> None:
        super().__init__(box, clock, calendar)
        self._timed = animals.timed
        self._blocks = {
            block.animal: BoxSchedule(
                replace(box, animals=None, daily=block.daily), clock, calendar
            )
            for block in animals.blocks
        }
        self._names = animals.animals
        self._automatic = box.next_animal == "automatic"
        self._confirmed = False
        """Whether the next animal is in the box."""
        self._running = False
        self._next = self._names[0]

    @property
    def animal(self) -> str:
        """The animal in the box while it runs, else the next one."""
        if self._timed and not self._running:
            self._choose(min(self._names, key=self._begins))
        return self._next

    @property
    def repeats(self) -> bool:
        """Whether the block of another animal follows."""
        return self._timed or self._next != self._names[-1]

    def choose(self, animal: str) -> None:
        """Make an animal the next one; DeepLabStreamError: that is not possible."""
        if animal not in self._names:
            raise DeepLabStreamError(
                f"ANIMALS has no {animal}; it has: {', '.join(self._names)}"
            )
        self._running = False
        if not self._timed:
            self._choose(animal)
            return
        self._blocks[
            animal
        ].restart()  # its run of today may be repeated within its time
        if self.animal != animal:
            raise DeepLabStreamError(
                f"{animal} has its own time in ANIMALS; the next one is {self.animal}"
            )

    def restart(self) -> None:
        """Let the next block start, on behalf of a user who has put the animal there.

        One that a user has stopped is the next one again, within its time.
        """
        if self._running:
            self._blocks[self._next].restart()
        self._running = False
        self._block.restart()
        self._confirmed = True

    def recall(self, animal: str, interrupted: bool) -> None:
        """Go on after a start of the computer, with the last animal that was in the box.

        `interrupted`: its run was not over, so that it is still there.
        """
        if animal not in self._names:
            return
        if not self._timed:
            self._next = animal
        self._confirmed = interrupted and self.animal == animal

    def count_run(self, ended: datetime) -> None:
        """Count the recalled run of an earlier rack that has ended."""
        if self._timed:
            self._block.count_run(ended)
        else:
            self.end()

    def is_over(self, reported: datetime) -> bool:
        """Return whether a run that last reported at a time is not that of the present block."""
        return self._block.is_over(reported)

    def due(self) -> bool:
        """Return whether the next animal's block has to be started now."""
        block = self._block
        return (self._confirmed or self._automatic) and block.due()

    def begin(self) -> None:
        """Store that the block has been started."""
        self._block.begin()
        self._running, self._confirmed = True, False

    def end(self) -> None:
        """Store that the block is over: the turn is that of the next animal."""
        self._running = self._confirmed = False
        if not self._timed:
            place = self._names.index(self._next) + 1
            self._next = self._names[place % len(self._names)]
            self._block.restart()

    def over(self) -> str:
        """Return why the present block has to end now; empty: it may go on."""
        return self._blocks[self._next].over()

    def next_start(self) -> datetime:
        """Return the local date and time of the next block."""
        return self._block.next_start()

    def waiting(self) -> str:
        """Return what the box waits for: `waits for m2: put it into the box, then start it`."""
        block, animal = self._block, self.animal
        if not (self._confirmed or self._automatic):
            start = block.waiting().removeprefix("waits until")
            when = f" from{start}" if self._timed else ""
            return f"waits for {animal}{when}: put it into the box, then start the box"
        return f"{block.waiting()} for {animal}"

    @property
    def _block(self) -> BoxSchedule:
        return self._blocks[self.animal]

    def _begins(self, animal: str) -> datetime:
        return self._blocks[animal].next_start()

    def _choose(self, animal: str) -> None:
        """Make an animal the next one: another one is not yet in the box."""
        if animal != self._next:
            self._next, self._confirmed = animal, False


def schedule_of(box: BoxSection, clock: Clock, calendar: Calendar) -> BoxSchedule:
    """Return the schedule of a box, with or without ANIMALS."""
    if box.animals is None:
        return BoxSchedule(box, clock, calendar)
    return AnimalSchedule(box, box.animals, clock, calendar)
