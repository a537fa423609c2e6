r"""Exposure pulses and frames: how many are matched right, wrong, and refused.

Each case draws pulses, the frames that they expose, and what goes wrong: frames lost between
camera and computer, with and without a gap in the camera's count; pulses that the counter
missed; reports of pulses that were lost; frames that arrive late, some held up together;
clocks that drift against each other; an unknown delay, and an unknown begin. The matching
gets what a run has: numbers and times of pulses, counts and times of frames.

    python benchmarks/exposure_pulses.py
    python benchmarks/exposure_pulses.py --quick --json

It draws; nothing depends on how busy the computer is.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.alignment.pulse_matching import (
    NO_PULSE,
    REFUSED,
    PulseTrain,
    match_pulses,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """What is drawn."""

    name: str
    rate: float
    delay_ms: float
    """From a pulse to the recorded time of its frame."""
    most_delay_ms: float
    generated: bool = True
    dither: float = 0.01
    """Share of the period by which generated pulses are late at most."""
    counted: bool = True
    """Whether lost frames are gaps in the camera's count."""
    arrival: bool = False
    """Whether frames have the time of their arrival: late at times, held up at times."""
    lost_frames: float = 0.01
    lost_pulses: float = 0.0
    unreported: float = 0.002
    skipped: int = 0
    """Pulses before the first frame; below 0: exposures before the first pulse."""
    is_ambiguous: bool = False
    """Whether nothing tells the pulses apart, so that all must be refused."""


CASES = (
    Case("generator 100/s, camera's clock", 100, 12.4, 100),
    Case("generator 200/s, no counts", 200, 17.0, 100, counted=False),
    Case("generator 30/s, arrival times", 30, 41.0, 200, counted=False, arrival=True),
    Case("generator 100/s, arrival times", 100, 23.0, 100, counted=False, arrival=True),
    Case("generator 100/s, run begins late", 100, 12.4, 100, skipped=2000),
    Case("generator 100/s, regular, delay known", 100, 4.1, 9, dither=0),
    Case("generator 100/s, regular, delay unknown", 100, 34.0, 100, dither=0,
         skipped=2000, is_ambiguous=True),
    Case("counter 100/s, delay known", 100, 6.2, 9, generated=False, dither=0,
         lost_pulses=0.005, skipped=-40),
    Case("counter 30/s, delay known, arrival times", 30, 20.0, 30, generated=False,
         dither=0, lost_pulses=0.005, arrival=True, counted=False, skipped=15),
    Case("counter of triggered camera 100/s", 100, 24.0, 100, generated=False,
         lost_pulses=0.005, skipped=-10),
    Case("counter 100/s, delay unknown", 100, 34.0, 100, generated=False, dither=0,
         lost_pulses=0.005, is_ambiguous=True),
)  # fmt: skip


@dataclass
class Score:
    """Frames and lost frames of a case, summed over the draws."""

    case: str
    frames: int = 0
    right: int = 0
    wrong: int = 0
    refused: int = 0
    lost: int = 0
    """Frames that were lost between frames that arrived."""
    proven: int = 0
    """Of these: found, with the right number of their pulse."""
    unplaced: int = 0
    """Frames that were lost for certain, where it is not certain which ones."""
    invented: int = 0
    """Pulses that are called lost and have a frame."""

    def add(self, other: "Score") -> None:
        """Add the figures of another draw."""
        for key, value in asdict(other).items():
            if key != "case":
                setattr(self, key, getattr(self, key) + value)


@dataclass(frozen=True)
class _Drawn:
    train: PulseTrain
    counts: Ints
    times_s: Floats
    truth: Ints
    """Number of the pulse of each frame."""
    lost: Ints
    """Numbers of the pulses whose frame was lost."""


def draw(case: Case, minutes: float, seed: int) -> _Drawn:
    """Return one draw of a case."""
    random = np.random.default_rng(seed)
    exposures = round(minutes * 60 * case.rate)
    early = max(0, -case.skipped)
    begun = np.arange(exposures) / case.rate
    begun = begun + random.random(exposures) * case.dither / case.rate
    has_pulse = np.arange(exposures) >= early
    has_pulse &= random.random(exposures) >= case.lost_pulses
    numbers = np.where(has_pulse, np.cumsum(has_pulse) - 1, NO_PULSE)
    reported = has_pulse & (random.random(exposures) >= case.unreported)
    # the board's clock, converted to the run's, is a little off
    pulse_s = begun + 5e-4 * np.sin(begun / 200) + random.normal(0, 1e-5, exposures)
    first = max(0, case.skipped)
    if first and case.generated:
        reported[: first - 20] = False  # the run began later
    train = PulseTrain(numbers[reported], pulse_s[reported], case.generated)

    arrives = random.random(exposures) >= case.lost_frames
    arrives[:first] = False
    times = begun + case.delay_ms / 1e3
    times += 2e-4 * np.sin(begun / 77) + random.normal(0, 3e-5, exposures)
    if case.arrival:
        times += random.lognormal(-7.6, 0.8, exposures)  # 0.5 ms, at times several
        for stall in random.uniform(0, exposures / case.rate, round(minutes * 4)):
            held = (times > stall) & (times < stall + random.uniform(0.02, 0.2))
            if held.any():
                times[held] = times[held].max() + 1e-4 * np.arange(held.sum())
        times = np.maximum.accumulate(times)
    chosen = np.flatnonzero(arrives)
    counts = chosen - chosen[0] if case.counted else np.arange(len(chosen))
    between = np.arange(chosen[0], chosen[-1])
    gone = between[~arrives[between]]
    lost = numbers[gone]
    return _Drawn(train, counts, times[chosen], numbers[chosen], lost[lost != NO_PULSE])


def rate(case: Case, minutes: float, seed: int) -> Score:
    """Match one draw and compare with what was drawn."""
    drawn = draw(case, minutes, seed)
    found = match_pulses(
        drawn.train, drawn.counts, drawn.times_s, case.most_delay_ms / 1e3
    )
    refused = found.pulses == REFUSED
    right = found.pulses == drawn.truth
    proven = np.isin(found.lost, drawn.lost)
    return Score(
        case.name,
        frames=len(drawn.truth),
        right=int(right.sum()),
        wrong=int((~right & ~refused).sum()),
        refused=int(refused.sum()),
        lost=len(drawn.lost),
        proven=int(proven.sum()),
        unplaced=found.unplaced,
        invented=int((~proven).sum()),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row per case; 1: a frame was matched wrongly."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one draw per case")
    parser.add_argument("--draws", type=int, default=10, help="draws per case")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of a draw")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(argv)
    scores = []
    for case in CASES:
        score = Score(case.name)
        for seed in range(1 if asked.quick else asked.draws):
            score.add(rate(case, asked.minutes, seed))
        scores.append(score)
        if not asked.json:
            print(
                f"{score.case:42} {score.frames:8} frames: {score.right:8} right, "
                f"{score.wrong} wrong, {score.refused} refused; {score.lost} lost: "
                f"{score.proven} numbered, {score.unplaced} counted, {score.invented} invented"
            )
    total = replace(scores[0], case="all")
    for each in scores[1:]:
        total.add(each)
    if asked.json:
        print(json.dumps([asdict(each) for each in (*scores, total)], indent=2))
    else:
        print(
            f"{'all':42} {total.frames:8} frames: {total.right} right, {total.wrong} "
            f"wrong, {total.refused} refused"
        )
    guessed = [
        score
        for score, case in zip(scores, CASES, strict=True)
        if case.is_ambiguous and score.refused < score.frames
    ]
    return int(bool(total.wrong or total.invented or guessed))


if __name__ == "__main__":
    raise SystemExit(main())
