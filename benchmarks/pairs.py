"""Error of "A approaches B" and "A chases B" on scripted encounters.

    python benchmarks/pairs.py [--quick] [--fps RATE ...] [--encounters N] [--noise MM]
    python benchmarks/pairs.py --fps 30 --speed 50 --encounters 240 --first-seed 400000 --no-chases

Two animals stand, step, turn, walk past each other, come, leave and follow. A camera sees their
body parts with noise at 30, 60 or 100 frames per second. The truth is computed from the exact
paths at 1000 positions per second, not from the script: an approach is a movement of the actor
towards the target, within TRUE_ANGLE, faster than STIR_SPEED, which reaches TRUE_SPEED and brings
the actor at least TRUE_WAY nearer. Pauses of less than PAUSE_S, the exit delay of the trigger, do
not end it. Its onset is the time of TRUE_SPEED. An onset of the trigger is right if it comes
after the start of the movement and at most LATE_S after the first frame from the onset on.

Whether a movement will bring the actor TRUE_WAY nearer is not known at its onset. One that
reaches TRUE_SPEED and ends before TRUE_WAY is a short approach: its first onset is neither right
nor wrong. Any other onset is wrong. The precision with these onsets as wrong ones is stated, too.

SPEED of the trigger is chosen on one half of the encounters, unless `--speed` gives it; the figures
are of the other half, with intervals that hold 95 % of the figures of encounters drawn with
replacement. Other settings of the trigger can be given; those of the truth stay. Below
FEW_FRAMES a second a longer window, extrapolated, has less noise. Wrong onsets are late, in an
approach of the truth that had no onset in time, or outside.

A chase is true at a moment at which both animals move at CHASE_SPEED or faster, in about the same
direction and the actor towards the target, so that standing in contact is none. Its figures are
shares of frames, with the settings of the truth in the trigger.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.pair_options import pair_parser, write_results
from deeplabstream.core.pair_geometry import FollowLimits, is_following
from deeplabstream.core.pose import Pose, Skeleton
from experiments.triggers.pair_movement import Approach, Chasing

RATE = 1000
"""Positions of the exact paths per second."""
TRUE_SPEED, TRUE_ANGLE, TRUE_WAY, STIR_SPEED = 60.0, 45.0, 20.0, 15.0
"""mm/s, degrees, mm, mm/s."""
TRUE_WINDOW_S = 0.05
"""Window, centred, over which the true speed is measured."""
LATE_S = 0.05
WINDOW_S, EXIT_DELAY_S = 0.1, 0.15
"""Settings of the trigger; the window of Chasing."""
FEW_FRAMES = 45.0
"""Frames per second below which the trigger has the settings of FEW_FRAMES_LIMITS."""
TEST_SEED = 1000
"""First seed of the encounters to test, unless `--first-seed` is given."""
FROM_S = 0.5
"""Start of what is counted: the trigger has seen the animals for WINDOW_S."""
PAUSE_S = EXIT_DELAY_S
"""Pauses that are shorter do not end a movement, for the trigger and for the truth."""
TURN_S = 0.08
"""Time constant of a body's turn."""
NOISE_MM = 1.0
"""Standard deviation of each coordinate of each body part, unless --noise is given."""
SPEEDS = (36.0, 38.0, 40.0, 42.0, 44.0, 46.0, 48.0, 50.0, 52.0)
"""SPEED from which that of the trigger is chosen, mm/s."""
AIMS = {"precision": 0.95, "recall": 0.9}
RATES, ENCOUNTERS = (30.0, 60.0, 100.0), 120
SHARE, DRAWS = 0.95, 2000
"""Of the intervals: share of the draws of encounters, and their number."""
CHASE_SPEED, CHASE_DISTANCE, CHASE_ANGLE = 100.0, 200.0, 60.0
"""mm/s, mm, degrees."""
MICE = Skeleton(("neck", "body", "tailbase"), animals=("anna", "bob"))
BODY = np.array([25.0, 0.0, -25.0])
"""Positions of the body parts along the axis, mm."""

Floats = NDArray[np.float64]


def walk(way: Floats, speed: float, ramp_s: float = 0.2) -> Floats:
    """Return the steps (n, 2) along a way: speed up, walk at `speed`, slow down."""
    distance = float(np.hypot(*way))
    ramp_s = min(ramp_s, distance / speed)
    cruise = np.ones(round((distance / speed - ramp_s) * RATE))
    ramp = np.linspace(0, 1, round(ramp_s * RATE))
    ramp = ramp**2 * (3 - 2 * ramp)
    progress = np.concatenate([ramp, cruise, ramp[::-1]])
    return (progress / progress.sum())[:, None] * way


def turned(vector: Floats, degrees: float) -> Floats:
    """Return a vector turned by an angle."""
    angle = np.radians(degrees)
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    return np.asarray(rotation @ vector)


def act(rng: np.random.Generator, places: Floats) -> tuple[Floats, Floats]:
    """Return the steps (n, 2) of both animals in one act of the script."""
    one = int(rng.integers(2))
    to_other = places[1 - one] - places[one]
    distance = float(np.hypot(*to_other))
    speed, ramp_s = rng.uniform(80, 300), rng.uniform(0.1, 0.3)
    kind = rng.choice(["stand", "step", "come", "pass", "leave", "follow", "both"])
    still = np.zeros((round(rng.uniform(0.3, 1.5) * RATE), 2))
    moves = [still, still]

    if kind == "step":
        way = turned(to_other / distance, rng.uniform(0, 360)) * rng.uniform(3, 12)
        moves[one] = walk(way, rng.uniform(20, 40))
    elif kind == "come" and distance > 80:
        way = turned(to_other, rng.uniform(-15, 15)) * rng.uniform(0.5, 0.8)
        moves[one] = walk(way, speed, ramp_s)
    elif kind == "pass":
        side = rng.choice([-1, 1]) * rng.uniform(65, 115)
        way = turned(to_other / distance, side) * rng.uniform(60, 250)
        moves[one] = walk(way, speed, ramp_s)
    elif kind == "leave":
        way = turned(-to_other / distance, rng.uniform(-40, 40)) * rng.uniform(60, 200)
        moves[one] = walk(way, speed, ramp_s)
    elif kind == "follow":
        way = turned(to_other / distance, rng.uniform(-30, 30)) * rng.uniform(80, 200)
        steps = walk(way, speed, ramp_s)
        lag = np.zeros((round(rng.uniform(0.1, 0.4) * RATE), 2))
        moves[1 - one] = np.concatenate([steps, lag])
        moves[one] = np.concatenate([lag, steps])
    elif kind == "both":
        for animal in (0, 1):
            way = turned(np.array([rng.uniform(40, 200), 0.0]), rng.uniform(0, 360))
            moves[animal] = walk(way, rng.uniform(80, 300), ramp_s)

    count = max(map(len, moves))
    padded = [np.concatenate([m, np.zeros((count - len(m), 2))]) for m in moves]
    return padded[0], padded[1]


def encounter(rng: np.random.Generator, seconds: float) -> tuple[Floats, Floats]:
    """Return exact positions (position, animal, 2), mm, and axes of the bodies, radians.

    The animals sway while they move. What would bring them too near, or out of the arena, is
    drawn again.
    """
    places = rng.uniform(100, 400, (2, 2))
    while np.hypot(*(places[0] - places[1])) < 40:
        places = rng.uniform(100, 400, (2, 2))

    parts: list[Floats] = []
    while sum(map(len, parts)) < seconds * RATE:
        steps = np.stack(act(rng, places), axis=1)
        path = places + np.cumsum(steps, axis=0)
        apart = np.hypot(*(path[:, 0] - path[:, 1]).T)
        if apart.min() < 40 or path.min() < 0 or path.max() > 600:
            continue
        parts.append(path)
        places = path[-1]
    path = np.concatenate(parts)

    speed, direction = np.zeros(path.shape[:2]), np.zeros(path.shape[:2])
    for animal in (0, 1):
        x, y = np.gradient(path[:, animal], 1 / RATE, axis=0).T
        speed[:, animal] = np.hypot(x, y)
        moving = np.where(speed[:, animal] > 5, np.arange(len(x)), 0)
        direction[:, animal] = np.arctan2(y, x)[np.maximum.accumulate(moving)]

    # the body turns into the direction of a movement within TURN_S
    axis = np.stack([np.cos(direction), np.sin(direction)], axis=2)
    for n in range(1, len(axis)):
        axis[n] = axis[n - 1] + (axis[n] - axis[n - 1]) / (TURN_S * RATE)
    heading = np.arctan2(axis[..., 1], axis[..., 0])

    # it sways sideways with the gait, by up to 0.5 mm while it walks
    phase = np.cumsum(speed, axis=0) / RATE / 25 * 2 * np.pi
    sway = 0.5 * np.sin(phase) * np.minimum(speed / 50, 1)
    aside = np.stack([-np.sin(heading), np.cos(heading)], axis=2)
    return path + sway[..., None] * aside, heading


@dataclass(frozen=True)
class TrueApproach:
    """A movement towards the target that reaches TRUE_SPEED."""

    actor: int
    begins_s: float
    """Start of the movement."""
    onset_s: float
    """Time at which it reaches TRUE_SPEED."""
    end_s: float
    is_short: bool
    """Whether it ends before TRUE_WAY."""


def true_approaches(path: Floats) -> Iterator[TrueApproach]:
    """Yield the approaches of both animals, short ones included, from exact positions."""
    exact = velocities(path)
    for actor in (0, 1):
        velocity = exact[:, actor]
        way = path[:, 1 - actor] - path[:, actor]
        towards = (velocity * way).sum(axis=1) / np.hypot(*way.T)
        is_ahead = towards >= np.cos(np.radians(TRUE_ANGLE)) * np.hypot(*velocity.T)
        state = (towards >= STIR_SPEED) & is_ahead
        for start, end in movements(state):
            parts = np.where(state, towards, 0.0)[start:end]
            fast = np.flatnonzero(parts >= TRUE_SPEED)
            if len(fast):
                onset, is_short = start + int(fast[0]), parts.sum() / RATE < TRUE_WAY
                times = start / RATE, onset / RATE, end / RATE
                yield TrueApproach(actor, *times, is_short=bool(is_short))


def velocities(path: Floats) -> Floats:
    """Return the exact velocities (position, animal, 2), over TRUE_WINDOW_S, mm/s."""
    half = round(TRUE_WINDOW_S * RATE / 2)
    around = np.pad(path, ((half, half), (0, 0), (0, 0)), mode="edge")
    return np.asarray((around[2 * half :] - around[: -2 * half]) / TRUE_WINDOW_S)


def true_chases(path: Floats, actor: int) -> NDArray[np.bool_]:
    """Return at which positions (position,) an animal chases the other one."""
    own, other = (velocities(path)[:, n].T for n in (actor, 1 - actor))
    way = (path[:, 1 - actor] - path[:, actor]).T
    limits = FollowLimits(CHASE_SPEED, CHASE_DISTANCE, CHASE_ANGLE)
    return is_following(
        (own[0], own[1]), (other[0], other[1]), (way[0], way[1]), limits
    )


def movements(state: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield first position of each movement, and first one after it; join short pauses."""
    edges = np.flatnonzero(np.diff(np.r_[False, state, False].astype(int)))
    starts, ends = edges[::2], edges[1::2]
    parted = starts[1:] - ends[:-1] >= PAUSE_S * RATE
    first, last = np.r_[True, parted], np.r_[parted, True]
    if len(starts):
        yield from zip(starts[first].tolist(), ends[last].tolist(), strict=True)


def poses(
    rng: np.random.Generator,
    path: Floats,
    heading: Floats,
    fps: float,
    noise: float,
) -> Iterator[tuple[float, Pose]]:
    """Yield time and pose of each frame of a camera."""
    offset = rng.uniform(0, 1 / fps)
    for time_s in np.arange(offset, len(path) / RATE - 0.002, 1 / fps).tolist():
        at = round(time_s * RATE)
        axis = np.stack([np.cos(heading[at]), np.sin(heading[at])], axis=1)
        points = path[at][:, None] + BODY[None, :, None] * axis[:, None]
        points += noise * rng.normal(0, 1, points.shape)
        yield time_s, Pose(MICE, points.astype(np.float32), np.ones((2, 3), np.float32))


@dataclass
class Outcome:
    """Counts of one setting, and delays of the right onsets."""

    approaches: int = 0
    """Without short ones."""
    right: int = 0
    wrong: int = 0
    late: int = 0
    """Wrong ones in an approach that had no onset in time."""
    short: int = 0
    """Onsets in short approaches."""
    delays_s: tuple[float, ...] = ()
    """From the first frame of an approach to the onset of the trigger."""

    def add(
        self, onsets: list[float], truth: list[TrueApproach], frames: Floats
    ) -> None:
        """Add the onsets of one actor; each is right for one approach at most.

        Approaches that begin before FROM_S, or in the last second, are not counted, nor are
        their onsets.
        """
        left, end_s = list(onsets), float(frames[-1]) - 1
        for approach in truth:
            after = frames[np.searchsorted(frames, approach.onset_s) :]
            if not len(after):
                continue
            first_s = float(after[0])
            found = [
                onset
                for onset in left
                if approach.begins_s <= onset <= first_s + LATE_S + 1e-9
            ]
            left = [onset for onset in left if onset not in found[:1]]
            if not FROM_S < approach.begins_s < end_s:
                continue
            if approach.is_short:
                self.short += len(found[:1])
                continue
            self.approaches += 1
            if found:
                self.right += 1
                self.delays_s += (found[0] - first_s,)
            else:
                late = [onset for onset in left if first_s < onset <= approach.end_s]
                self.late += len(late[:1])
        self.wrong += sum(FROM_S < onset < end_s for onset in left)

    @property
    def precision(self) -> float:
        """Share of the onsets that are right."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share of the approaches that were found in time."""
        return self.right / max(1, self.approaches)

    @property
    def report(self) -> dict[str, float]:
        """Return what is stated."""
        delays = np.array(self.delays_s) * 1e3
        return {
            "approaches": self.approaches,
            "right": self.right,
            "wrong": self.wrong,
            "late": self.late,
            "short": self.short,
            "precision": self.precision,
            "precision_short_wrong": self.right
            / max(1, self.right + self.wrong + self.short),
            "recall": self.recall,
            "median_delay_ms": float(np.median(delays)) if len(delays) else np.nan,
            "p95_delay_ms": float(np.percentile(delays, 95)) if len(delays) else np.nan,
        }


@dataclass(frozen=True)
class Limits:
    """Settings of the trigger."""

    angle: float = TRUE_ANGLE
    passing_angle: float = 20.0
    window_s: float = WINDOW_S
    predict_s: float = 0.0
    exit_share: float = 0.35


FEW_FRAMES_LIMITS = Limits(42.0, 10.0, 0.13, 0.03, 0.4)
"""Those at 30 frames per second; also of the ready-made experiment on pairs."""


def trigger(actor: int, speed: float, limits: Limits) -> Approach:
    """Return the trigger of one actor."""
    return Approach(
        bodyparts=MICE.bodyparts,
        actor=MICE.animals[actor],
        target=MICE.animals[1 - actor],
        speed=speed,
        angle=limits.angle,
        passing_angle=limits.passing_angle,
        window_s=limits.window_s,
        predict_s=limits.predict_s,
        exit_share=limits.exit_share,
        exit_delay_s=EXIT_DELAY_S,
    )


def chases(seeds: range, seconds: float, fps: float, noise: float) -> dict[str, float]:
    """Return precision and recall of Chasing, as shares of frames."""
    hits = told = true = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        path, heading = encounter(rng, seconds)
        frames = list(poses(rng, path, heading, fps, noise))
        for actor in (0, 1):
            own = Chasing(
                bodyparts=MICE.bodyparts,
                actor=MICE.animals[actor],
                target=MICE.animals[1 - actor],
                speed=CHASE_SPEED,
                distance=CHASE_DISTANCE,
                angle=CHASE_ANGLE,
                window_s=WINDOW_S,
                velocity="slope",
            )
            truth = true_chases(path, actor)
            for time_s, pose in frames:
                answer = own.answer(pose, time_s)
                if time_s > FROM_S:
                    is_true = bool(truth[round(time_s * RATE)])
                    hits += answer is True and is_true
                    told += answer is True
                    true += is_true
    return {
        "frames": true,
        "precision": hits / max(1, told),
        "recall": hits / max(1, true),
    }


def outcomes(
    seeds: range,
    seconds: float,
    fps: float,
    noise: float,
    speeds: Sequence[float],
    limits: Limits,
) -> dict[float, list[Outcome]]:
    """Return the outcomes of encounters, for each SPEED."""
    found: dict[float, list[Outcome]] = {speed: [] for speed in speeds}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        path, heading = encounter(rng, seconds)
        truth = list(true_approaches(path))
        frames = list(poses(rng, path, heading, fps, noise))
        times = np.array([time_s for time_s, _ in frames])
        for speed, of_speed in found.items():
            outcome = Outcome()
            of_speed.append(outcome)
            for actor in (0, 1):
                own = trigger(actor, speed, limits)
                state = [own.answer(pose, time_s) is True for time_s, pose in frames]
                rises = np.flatnonzero(np.diff(np.r_[False, state].astype(int)) > 0)
                onsets = times[rises].tolist()
                outcome.add(onsets, [a for a in truth if a.actor == actor], times)
    return found


def total(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of several encounters together."""
    return Outcome(
        approaches=sum(of.approaches for of in outcomes),
        right=sum(of.right for of in outcomes),
        wrong=sum(of.wrong for of in outcomes),
        late=sum(of.late for of in outcomes),
        short=sum(of.short for of in outcomes),
        delays_s=tuple(chain.from_iterable(of.delays_s for of in outcomes)),
    )


def intervals(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """Return the intervals of precision and recall: encounters drawn with replacement."""
    rng = np.random.default_rng(0)
    draws = [
        total([outcomes[n] for n in rng.integers(len(outcomes), size=len(outcomes))])
        for _ in range(DRAWS)
    ]
    ends = [50 * (1 - SHARE), 50 * (1 + SHARE)]
    found = {}
    for name in AIMS:
        low, high = np.percentile([getattr(drawn, name) for drawn in draws], ends)
        found[name] = float(low), float(high)
    return found


def chosen(half: dict[float, list[Outcome]]) -> float:
    """Return the SPEED with the highest lower value of precision and recall, to their aims."""
    totals = {speed: total(of_speed) for speed, of_speed in half.items()}
    return max(
        totals,
        key=lambda speed: min(
            totals[speed].precision - AIMS["precision"],
            totals[speed].recall - AIMS["recall"],
        ),
    )


def main(argv: list[str]) -> int:
    """Return 0 when the aims are reached at every frame rate, 1 when they are not."""
    parser = pair_parser("pairs.py", "A approaches B", NOISE_MM, "MM")
    parser.add_argument(
        "--fps",
        type=float,
        nargs="+",
        default=RATES,
        help=f"frames per second (default: {' '.join(f'{rate:g}' for rate in RATES)})",
    )
    parser.add_argument(
        "--encounters",
        type=int,
        default=ENCOUNTERS,
        metavar="N",
        help=f"encounters to choose SPEED, and as many to test (default: {ENCOUNTERS})",
    )
    parser.add_argument(
        "--first-seed",
        type=int,
        default=TEST_SEED,
        metavar="N",
        help=f"first seed of the encounters to test (default: {TEST_SEED})",
    )
    for name, usual in asdict(Limits()).items():
        parser.add_argument(
            f"--{name.removesuffix('_s').replace('_', '-')}",
            dest=name,
            type=float,
            metavar="NUMBER",
            help=f"{name.upper()} of the trigger (default: {usual:g}; below "
            f"{FEW_FRAMES:g} fps {getattr(FEW_FRAMES_LIMITS, name):g})",
        )
    parser.add_argument(
        "--speed", type=float, metavar="MM_S", help="SPEED; nothing is chosen"
    )
    parser.add_argument(
        "--no-chases", action="store_true", help="approaches only, in half the time"
    )
    options = parser.parse_args(argv)
    count, seconds = (3, 20.0) if options.quick else (options.encounters, 60.0)
    results: dict[str, dict[str, object]] = {}
    given = {name: getattr(options, name) for name in asdict(Limits())}
    given = {name: value for name, value in given.items() if value is not None}
    to_choose = 0 if options.speed else count
    print(
        f"{to_choose} encounters of {seconds:g} s to choose SPEED, {count} others to test"
    )
    reached = True
    for fps in options.fps:
        limits = replace(FEW_FRAMES_LIMITS if fps < FEW_FRAMES else Limits(), **given)
        speed = options.speed or chosen(
            outcomes(range(count), seconds, fps, options.noise, SPEEDS, limits)
        )
        others = range(options.first_seed, options.first_seed + count)
        found = outcomes(others, seconds, fps, options.noise, [speed], limits)[speed]
        tested, between = total(found).report, intervals(found)
        results[f"{fps:g} fps"] = {"speed": speed, **tested, "intervals": between}
        ranges = {
            name: f"{low:.3f} to {high:.3f}" for name, (low, high) in between.items()
        }
        print(
            f"{fps:3g} fps, SPEED = {speed:g} mm/s: {tested['approaches']:.0f} approaches, "
            f"precision {tested['precision']:.3f} [{ranges['precision']}] "
            f"({tested['precision_short_wrong']:.3f} with short ones), "
            f"recall {tested['recall']:.3f} [{ranges['recall']}], delay "
            f"{tested['median_delay_ms']:.0f} ms (95 %: {tested['p95_delay_ms']:.0f} ms)"
        )
        print(
            f"    wrong onsets: {tested['wrong']:.0f}, of these "
            f"{tested['late']:.0f} late in an approach",
            flush=True,
        )
        reached &= all(tested[name] >= aim for name, aim in AIMS.items())
        if options.no_chases:
            continue
        chased = chases(others, seconds, fps, options.noise)
        results[f"{fps:g} fps"]["chase"] = chased
        print(
            f"    chases: precision {chased['precision']:.3f}, recall "
            f"{chased['recall']:.3f} of {chased['frames']} frames"
        )
    write_results(options.json, "approach", results)
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
