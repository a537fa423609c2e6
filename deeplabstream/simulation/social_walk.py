"""Walks of simulated animals with social rules: approach, follow, avoid, attack.

Between social bouts the animals explore and rest. The walks do not repeat; they are computed
as far as they are asked for, and depend on nothing but the seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import atan2, cos, dist, inf, pi, remainder, sin
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from deeplabstream.simulation.walk import PX_PER_CM

Verb: TypeAlias = Literal["approaches", "follows", "avoids", "attacks"]
VERBS: tuple[Verb, ...] = get_args(Verb)

Behaviour: TypeAlias = Literal["explores", "rests"] | Verb

_STEP_S = 0.02
_BLOCK = 500  # steps that are computed at once
_RADIUS = 36.0  # px of the world, as all lengths: radius of the sharpest turn
_CLEAR = (
    46.0  # of the animal's midline from the edge: wall 20, half a body 19, bent head 7
)
_BEFORE = 260.0  # straight path behind each animal at the start; body and tail have 182
_BODY = (0.0, 32.0, 64.0, 97.0)  # places of a body that another animal aims at
_TOUCH = 20.0  # distance from the snout to the other's midline at which an animal stops
_NEAR, _FAR = 150.0, 230.0  # distances at which avoidance begins and ends
_SPEEDS: dict[Behaviour, float] = {  # cm/s
    "explores": 16.0,
    "rests": 0.0,
    "approaches": 20.0,
    "follows": 26.0,
    "avoids": 30.0,
    "attacks": 40.0,
}
_DURATIONS_S: dict[Behaviour, tuple[float, float]] = {
    "explores": (2.0, 5.0),
    "rests": (1.0, 3.0),
    "approaches": (4.0, 7.0),
    "follows": (3.0, 6.0),
    "avoids": (0.6, 1.2),
    "attacks": (1.5, 4.0),
}
_INERTIA_S = 0.12  # time constant of the speed
_TURNS = sorted(np.linspace(-1, 1, 9).tolist(), key=abs)  # of the sharpest curvature

_Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class SocialRule:
    """What one animal does to another at times, such as `1 attacks 2`."""

    actor: int
    """Number of the animal, from 1 on."""
    verb: Verb
    target: int

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}"


@dataclass(frozen=True, slots=True)
class SocialAct:
    """What an animal does at a moment."""

    behaviour: Behaviour
    target: int = 0
    """Number of the other animal; 0: none."""


def parse_social_rule(text: object) -> SocialRule:
    """Return the rule that a text describes; ValueError: it is invalid.

    >>> parse_social_rule("1 attacks 2")
    SocialRule(actor=1, verb='attacks', target=2)
    """
    if isinstance(text, SocialRule):
        return text
    words = str(text).split()
    if len(words) != 3 or words[1] not in VERBS:
        raise ValueError(
            f"expected ANIMAL {'|'.join(VERBS)} ANIMAL, such as 1 attacks 2"
        )
    if not (words[0].isdecimal() and words[2].isdecimal()):
        raise ValueError("expected the numbers of two animals, from 1 on")
    actor, target = int(words[0]), int(words[2])
    if actor == target or 0 in (actor, target):
        raise ValueError("expected the numbers of two different animals, from 1 on")
    return SocialRule(actor, words[1], target)


@dataclass
class _Animal:
    """Present state of an animal."""

    x: float
    y: float
    heading: float
    """Radians; y points down."""
    speed: float = 0.0
    """px/s."""
    act: SocialAct = SocialAct("explores")
    until_s: float = 0.0
    goal: _Point = (0.0, 0.0)
    """Where it goes when it explores."""

    @property
    def head(self) -> _Point:
        return self.x, self.y


class SocialGroup:
    """Animals in one arena, each with rules towards the others.

    Animals stop before they touch, but one that is not looking for the other may cross it.
    """

    def __init__(
        self,
        size: tuple[float, float],
        animals: int,
        rules: Sequence[SocialRule],
        seed: int = 0,
    ) -> None:
        self._width, self._height = size
        self._random = np.random.default_rng((seed, 2))
        self._rules = [
            [rule for rule in rules if rule.actor == number + 1]
            for number in range(animals)
        ]
        self._animals = [self._placed(number, animals) for number in range(animals)]
        self._acts: list[tuple[SocialAct, ...]] = []
        self._steps = 0
        # head and distance walked at each step, after two points of the path before it
        self._x, self._y, self._walked = np.zeros((3, animals, 2 + _BLOCK))
        for number, animal in enumerate(self._animals):
            back = _BEFORE * cos(animal.heading)
            self._x[number, :2] = animal.x - back, animal.x
            self._y[number, :2] = animal.y
            self._walked[number, :2] = -_BEFORE, 0.0

    @property
    def walks(self) -> tuple["SocialWalk", ...]:
        """The walk of each animal."""
        return tuple(SocialWalk(self, number) for number in range(len(self._animals)))

    def acts(self, time_s: float) -> tuple[SocialAct, ...]:
        """Return what each animal does at a time."""
        step = int(time_s / _STEP_S)
        self._compute(step + 1)
        return self._acts[step]

    def travelled(self, number: int, time_s: float) -> float:
        """Return the distance that an animal has walked, in px."""
        step, rest = divmod(time_s / _STEP_S, 1.0)
        at = 1 + int(step)
        self._compute(at)
        start, end = self._walked[number, at : at + 2].tolist()
        return float(start + rest * (end - start))

    def along(self, number: int, travelled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, 2): the path of an animal at these distances, computed before."""
        walked = self._walked[number, : self._steps + 2]
        columns = (self._x, self._y)
        return np.column_stack(
            [np.interp(travelled, walked, it[number, : len(walked)]) for it in columns]
        )

    def _placed(self, number: int, animals: int) -> _Animal:
        """Return an animal at its start; its straight body is clear of the walls."""
        x = self._width * self._random.uniform(0.48, 0.6)
        y = self._height * (number + 1) / (animals + 1)
        if number % 2:
            return _Animal(self._width - x, y, pi)
        return _Animal(x, y, 0.0)

    def _compute(self, steps: int) -> None:
        """Compute the walks up to a step, in blocks."""
        while self._steps < steps:
            if self._x.shape[1] < self._steps + 2 + _BLOCK:
                spare = ((0, 0), (0, self._x.shape[1]))
                self._x, self._y, self._walked = (
                    np.pad(values, spare) for values in (self._x, self._y, self._walked)
                )
            for _ in range(_BLOCK):
                self._step()

    def _step(self) -> None:
        now_s, column = self._steps * _STEP_S, self._steps + 2
        for number, animal in enumerate(self._animals):
            self._choose(number, now_s)
            way, speed = self._aim(number)
            animal.speed += (speed - animal.speed) * _STEP_S / _INERTIA_S
            self._move(animal, way, animal.speed * _STEP_S)
            self._x[number, column], self._y[number, column] = animal.head
            self._walked[number, column] = (
                self._walked[number, column - 1] + animal.speed * _STEP_S
            )
        self._acts.append(tuple(animal.act for animal in self._animals))
        self._steps += 1

    def _choose(self, number: int, now_s: float) -> None:
        """Begin another bout when the present one is over, or another animal is near."""
        animal, rules = self._animals[number], self._rules[number]
        near = [
            (self._gap(number, rule.target - 1), rule.target)
            for rule in rules
            if rule.verb == "avoids"
        ]
        gap, avoided = min(near, default=(inf, 0))
        avoids = animal.act.behaviour == "avoids"
        if gap < (_FAR if avoids else _NEAR):
            act = SocialAct("avoids", avoided)
            if act == animal.act:
                return
        elif now_s < animal.until_s:
            return
        else:
            acts = [SocialAct(rule.verb, rule.target) for rule in rules]
            acts = [act for act in acts if act.behaviour != "avoids"]
            acts += [SocialAct("explores"), SocialAct("rests")]
            act = acts[int(self._random.integers(len(acts)))]
        animal.act = act
        animal.until_s = now_s + self._random.uniform(*_DURATIONS_S[act.behaviour])
        animal.goal = self._goal()

    def _goal(self) -> _Point:
        x, y = self._random.uniform(0.15, 0.85, 2).tolist()
        return self._width * x, self._height * y

    def _aim(self, number: int) -> tuple[_Point, float]:
        """Return the intended direction of an animal, and its intended speed, px/s."""
        animal = self._animals[number]
        behaviour, target = animal.act.behaviour, animal.act.target - 1
        speed = _SPEEDS[behaviour] * PX_PER_CM
        if behaviour in ("explores", "rests"):
            if dist(animal.head, animal.goal) < 2 * _RADIUS:
                animal.goal = self._goal()
            return _way(animal.head, animal.goal), speed
        places = list(self._body(target))
        if behaviour == "avoids":
            nearest = min(places, key=lambda place: dist(place, animal.head))
            return _way(nearest, animal.head), speed
        place = {"follows": places[-1], "attacks": places[1]}.get(behaviour)
        if place is None:
            place = min(places, key=lambda place: dist(place, animal.head))
        gap = self._gap(number, target)
        if gap < 2 * _TOUCH:  # slow down, and stay at the other's side
            closing = max(0.0, gap - _TOUCH) / _TOUCH * speed
            speed = min(speed, self._animals[target].speed * 0.9 + closing)
            speed = 0.0 if gap < _TOUCH else speed
        return _way(animal.head, place), speed

    def _gap(self, number: int, target: int) -> float:
        """Return the distance of an animal's snout to the midline of another one."""
        head = self._animals[number].head
        return min(dist(head, place) for place in self._body(target))

    def _body(self, number: int) -> Iterator[_Point]:
        """Yield the places of a body from snout to tail base."""
        column = self._steps + 2
        walked = self._walked[number, :column]
        first = int(np.searchsorted(walked, walked[-1] - _BODY[-1])) - 1
        first = max(first, 0)
        at = walked[-1] - np.array(_BODY)
        x = np.interp(at, walked[first:], self._x[number, first:column])
        y = np.interp(at, walked[first:], self._y[number, first:column])
        return zip(x.tolist(), y.tolist(), strict=True)

    def _move(self, animal: _Animal, way: _Point, length: float) -> None:
        """Move an animal on an arc, as near to its intended direction as the walls permit.

        After each step one of the two circles of its sharpest turns is clear of the walls, so
        there is always a step that stays clear: along that circle.
        """
        wish = remainder(atan2(way[1], way[0]) - animal.heading, 2 * pi)
        curve = max(-1.0, min(1.0, wish * _RADIUS / max(length, 3.0) / 4))
        ranked = [curve, *sorted(_TURNS, key=lambda turn: abs(turn - curve))]
        # where rounding leaves none clear, the clearest is along the circle
        best, most = (animal.x, animal.y, animal.heading), -inf
        for turn in ranked:
            place = _moved(animal, turn / _RADIUS, length)
            room = self._room(*place)
            if room > most:
                best, most = place, room
            if room >= 0:
                break
        animal.x, animal.y, animal.heading = best

    def _room(self, x: float, y: float, heading: float) -> float:
        """Return how far the clearer circle of the sharpest turns is from the walls, px."""
        across = -sin(heading) * _RADIUS, cos(heading) * _RADIUS
        rooms = []
        for side in (1, -1):
            centre_x, centre_y = x + side * across[0], y + side * across[1]
            ends = centre_x, self._width - centre_x, centre_y, self._height - centre_y
            rooms.append(min(ends) - _CLEAR - _RADIUS)
        return max(rooms)


@dataclass(frozen=True)
class SocialWalk:
    """Walk of one animal of a `SocialGroup`."""

    group: SocialGroup = field(repr=False)
    number: int
    """Place of the animal in the group, from 0 on."""

    def along(self, time_s: float, behind: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, 2): the points of the path that lie `behind` (n,) px of its head."""
        return self.group.along(self.number, self.travelled(time_s) - behind)

    def travelled(self, time_s: float) -> float:
        """Return the distance walked, in px."""
        return self.group.travelled(self.number, time_s)


def _way(start: _Point, end: _Point) -> _Point:
    return end[0] - start[0], end[1] - start[1]


def _moved(
    animal: _Animal, curvature: float, length: float
) -> tuple[float, float, float]:
    """Return position and heading after an arc; curvature in radians per px."""
    if abs(curvature) < 1e-9:
        x = animal.x + length * cos(animal.heading)
        return x, animal.y + length * sin(animal.heading), animal.heading
    heading = animal.heading + curvature * length
    x = animal.x + (sin(heading) - sin(animal.heading)) / curvature
    y = animal.y - (cos(heading) - cos(animal.heading)) / curvature
    return x, y, heading
