"""Sampling of an audit: a stratified random sample of a run's decisions.

The unit is a frame of the run, for outputs a switch-on by the experiment. Neighbouring frames
are alike, but a simple random sample of frames without replacement needs no independence
between them: precision and recall are shares of the frames of this very run, and what the
sample says about these shares is exact. It says nothing about other runs.

Strata are trigger, answer (true, false, unknown) and whether the answer changes within a
second, where most errors are; each output is a stratum. Their numbers of clips are
proportional to the square root of their sizes, with a minimum: a power allocation with
exponent 1/2 (Bankier 1988, The American Statistician 42:174-177), which gives rare answers
more clips than their share, so that each figure has a usable interval.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.engine.audited_triggers import answer_settings
from deeplabstream.plugins.trigger import Trigger, with_combined
from deeplabstream.recording.audit_files import (
    AuditClip,
    AuditFacts,
    AuditSample,
    ClipKind,
    Stratum,
)
from deeplabstream.recording.cell_formats import STATE_NAMES
from deeplabstream.recording.run_json import networks_of_run
from deeplabstream.recording.run_review import Review
from deeplabstream.recording.run_schema import TRIGGER_STATE, members
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import load

__all__ = ["NEAR_S", "AuditClip", "AuditSample", "draw_sample"]

NEAR_S = 1.0
"""Largest time from a change of the answer at which a frame is near it."""
LEAST = 6
"""Smallest number of clips of a stratum, if it has as many decisions."""
HOUR_S = 3600.0
_LONGEST_STEP_S = 1.0
"""Largest time between two frames that counts as time of the experiment."""
_ANSWERS: tuple[bool | None, ...] = (True, False, None)
Times: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Decisions of one stratum: camera, frame and time of each."""

    kind: ClipKind
    of: str
    animal: str
    answer: bool | None
    near: bool
    camera: str
    frames: NDArray[np.int64]
    times_s: Times

    @property
    def name(self) -> str:
        if self.kind == "output":
            return f"output {self.of} switched on"
        place = f"within {NEAR_S:g} s of a change" if self.near else "steady"
        return f"trigger {self.of} {STATE_NAMES[self.answer]}, {place}"


def draw_sample(
    review: Review,
    count: int = 100,
    seed: int | None = None,
    triggers: Sequence[str] = (),
) -> AuditSample:
    """Return a random sample of the decisions of a run.

    Parameters
    ----------
    review : Review
        The run.
    count : int
        Number of clips; fewer when the run has fewer decisions.
    seed : int, optional
        Seed of the drawing; without one, a new one.
    triggers : sequence of str
        Names of the triggers; empty: all that were evaluated, except those that are only
        shelters: their answers decide nothing.

    Raises
    ------
    DeepLabStreamError
        The run has no decisions on frames with an image, or no such trigger.
    """
    if count < 1:
        raise DeepLabStreamError(f"{count} clips: at least 1 is needed")
    return decisions_of(review, triggers).draw(count, seed)


@dataclass(frozen=True, eq=False)
class Decisions:
    """The decisions of a run, from which samples are drawn.

    `experiment_s` and `not_recorded` are those of `AuditSample`.
    """

    populations: Sequence[Population]
    facts: AuditFacts
    experiment_s: tuple[float, ...]
    not_recorded: int

    def draw(self, count: int, seed: int | None = None) -> AuditSample:
        """Return a random sample; see `draw_sample`."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        random = np.random.default_rng(seed)
        sizes = [len(population.frames) for population in self.populations]
        drawn = [
            (population, int(row))
            for population, clips in zip(
                self.populations, allocate(sizes, count), strict=True
            )
            for row in random.choice(len(population.frames), clips, replace=False)
        ]

        # The order tells a rater nothing, and any first part is a random sample too.
        order = random.permutation(len(drawn))
        hours = len(self.experiment_s)
        return AuditSample(
            clips=tuple(
                _clip(number, *drawn[at]) for number, at in enumerate(order, start=1)
            ),
            strata=tuple(stratum_of(one, hours) for one in self.populations),
            seed=seed,
            facts=self.facts,
            experiment_s=self.experiment_s,
            not_recorded=self.not_recorded,
        )


def decisions_of(review: Review, triggers: Sequence[str] = ()) -> Decisions:
    """Return the decisions of a run on frames with an image; see `draw_sample`."""
    not_recorded: list[int] = []
    populations = [
        *trigger_populations(review, triggers, not_recorded),
        *_outputs(review, not_recorded),
    ]
    if not populations:
        raise DeepLabStreamError(
            f"{review.folder.path} can't be audited: it has no answers of triggers on "
            "frames that were recorded"
        )
    hours = int(review.end_s // HOUR_S) + 1
    return Decisions(
        populations, facts_of(review), _experiment_s(review, hours), sum(not_recorded)
    )


def allocate(sizes: Sequence[int], count: int, least: int = LEAST) -> list[int]:
    """Return the number of clips of each stratum, about `count` in all.

    Each gets `least`, or all that it has, or fewer where `count` does not suffice; the
    others are shared out in proportion to the square roots of the sizes.

    >>> allocate([4, 100, 10000], 60)
    [4, 10, 46]
    """
    whole = np.asarray(sizes, np.int64)
    least = max(1, min(least, count // max(1, len(sizes))))
    clips = np.minimum(whole, least)
    while clips.sum() < count and (clips < whole).any():
        weights = np.where(clips < whole, np.sqrt(whole), 0.0)
        share = (count - clips.sum()) * weights / weights.sum()
        more = np.floor(share).astype(np.int64)
        if not more.any():
            more[np.argmax(weights)] = 1
        clips = np.minimum(whole, clips + more)
    return [int(number) for number in clips]


def facts_of(review: Review) -> AuditFacts:
    """Return what an audit of a run rests on."""
    facts = review.facts
    return AuditFacts(
        run=review.folder.path.resolve().name,
        started=str(facts.get("started") or ""),
        application=str(facts.get("application") or ""),
        networks=networks_of_run(facts),
        settings=answer_settings(review.folder.settings_text),
    )


# --- populations


def trigger_populations(
    review: Review, chosen: Sequence[str] = (), not_recorded: list[int] | None = None
) -> Iterator[Population]:
    """Yield the answers of triggers, by default of all, on frames with an image.

    `not_recorded` gets the numbers of frames without one. DeepLabStreamError: there is no such
    trigger.
    """
    known: set[str] = set()
    left_out = only_shelters(review.folder.settings_text)
    animals = _animals_by_trigger(review)
    for camera, frames in review.cameras.items():
        analysed = frames.rows[frames.analysed]
        times_s = analysed["time_s"].to_numpy(np.float64)
        numbers = analysed["frame"].to_numpy(np.int64)
        filmed = frames.has_image[frames.analysed]
        columns = members([str(name) for name in analysed.columns], TRIGGER_STATE)
        for name, column in columns.items():
            known.add(name)
            if name not in chosen if chosen else name in left_out:
                continue
            answers = analysed[column].to_numpy(np.float64)
            answers = _with_shams(review, name, times_s, answers)
            near = _near_change(times_s, answers)
            if not_recorded is not None:
                not_recorded.append(int((~filmed).sum()))
            for answer in _ANSWERS:
                value = np.nan if answer is None else float(answer)
                same = np.isnan(answers) if answer is None else answers == value
                for is_near in (True, False):
                    rows = same & filmed & (near == is_near)
                    if rows.any():
                        yield Population(
                            "trigger", name, animals.get(name, ""), answer, is_near,
                            camera, numbers[rows], times_s[rows],
                        )  # fmt: skip
    if missing := [name for name in chosen if name not in known]:
        raise DeepLabStreamError(
            f"no answers of [Trigger {missing[0]}] in {review.folder.path.name}; it has "
            f"those of {', '.join(sorted(known)) or 'none'}"
        )


def only_shelters(settings_text: str) -> frozenset[str]:
    """Return the triggers that the settings name as shelters, and nowhere else."""
    sections = read_sections(settings_text).texts
    shelters = _words(sections.get("Animals", {}).get("SHELTERS", ""))
    named = {
        word
        for title, keys in sections.items()
        for key, text in keys.items()
        if (title, key) != ("Animals", "SHELTERS")
        for word in _words(text)
    }
    return frozenset(shelters - named)


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")} - {""}


def _near_change(times_s: Times, answers: Times) -> NDArray[np.bool_]:
    """Return which frames have another answer within `NEAR_S` of them."""
    states = np.nan_to_num(answers, nan=2.0)
    changes = times_s[1:][states[1:] != states[:-1]]
    if not len(changes):
        return np.zeros(len(times_s), np.bool_)
    after = np.searchsorted(changes, times_s)
    to_next = changes[np.minimum(after, len(changes) - 1)] - times_s
    to_last = times_s - changes[np.maximum(after - 1, 0)]
    return np.asarray((np.abs(to_next) <= NEAR_S) | (np.abs(to_last) <= NEAR_S))


def _with_shams(review: Review, trigger: str, times_s: Times, answers: Times) -> Times:
    """Return the answers with sham onsets as true: the condition was found to hold."""
    begins: float | None = None
    found = answers.copy()
    for row in review.events:
        text = row["text"]
        if row["kind"] != "note" or not text.startswith(f"[Trigger {trigger}] sham "):
            continue
        what, at_s = text.removeprefix(f"[Trigger {trigger}] sham ").split(" at ")
        time_s = float(at_s.removesuffix(" s"))
        if what == "begins":
            begins = time_s
        elif begins is not None:
            found[_between(times_s, begins, time_s) & (answers == 0)] = 1.0
            begins = None
    if begins is not None:
        found[_between(times_s, begins, np.inf) & (answers == 0)] = 1.0
    return found


def _between(times_s: Times, start_s: float, end_s: float) -> NDArray[np.bool_]:
    # The note has the time of the frame in whole milliseconds.
    return np.asarray((times_s > start_s - 6e-4) & (times_s < end_s - 6e-4))


def _outputs(review: Review, not_recorded: list[int]) -> Iterator[Population]:
    """Yield the switch-ons of each output by the experiment; a train of pulses counts once."""
    cameras = {
        row["frame"]: row["camera"]
        for row in review.events
        if row["kind"] == "command" and row["frame"]
    }
    by_place: dict[tuple[str, str], list[int]] = {}
    levels: dict[str, float] = {}
    edges = [row for row in review.events if row["kind"] == "edge"]
    for row in sorted(edges, key=lambda row: float(row["time_s"])):
        name, level = row["name"], float(row["level"])
        before, levels[name] = levels.get(name, 0.0), level
        if before or not level or row["cause"] != "plan":
            continue
        camera = cameras.get(row["frame"], next(iter(review.cameras), ""))
        at = _deciding_row(review, camera, row)
        if at is None:
            not_recorded.append(1)
        else:
            by_place.setdefault((name, camera), []).append(at)
    for (name, camera), places in by_place.items():
        frames = review.cameras[camera].rows.iloc[places]
        yield Population(
            "output", name, "", True, False, camera,
            frames["frame"].to_numpy(np.int64), frames["time_s"].to_numpy(np.float64),
        )  # fmt: skip


def _deciding_row(review: Review, camera: str, edge: Mapping[str, str]) -> int | None:
    """Return the row of the frame that caused an edge; None: not known, or no image."""
    if camera not in review.cameras:
        return None
    frames = review.cameras[camera]
    last = frames.row_at(float(edge["time_s"]))
    numbers = frames.rows["frame"].to_numpy(np.int64)
    if edge["frame"]:
        same = np.flatnonzero(numbers[: last + 1] == int(edge["frame"]))
        if not len(same):
            return None
        last = int(same[-1])
    else:  # runs of earlier versions do not name the frame
        analysed = np.flatnonzero(frames.analysed)
        place = bisect_right(analysed.tolist(), last) - 1
        if place < 0:
            return None
        last = int(analysed[place])
    return last if frames.has_image[last] else None


# --- entries


def _clip(number: int, population: Population, row: int) -> AuditClip:
    return AuditClip(
        number=number,
        kind=population.kind,
        name=population.of,
        animal=population.animal,
        answer=population.answer,
        camera=population.camera,
        frame=int(population.frames[row]),
        time_s=float(population.times_s[row]),
        stratum=population.name,
    )


def stratum_of(population: Population, hours: int) -> Stratum:
    """Return the stratum of a population, with its sizes in each of `hours` hours."""
    hour = np.clip(population.times_s // HOUR_S, 0, hours - 1).astype(np.int64)
    counts = np.bincount(hour, minlength=hours)
    return Stratum(
        name=population.name,
        kind=population.kind,
        of=population.of,
        animal=population.animal,
        answer=population.answer,
        near=population.near,
        hours=tuple(int(count) for count in counts),
    )


def _experiment_s(review: Review, hours: int) -> tuple[float, ...]:
    """Return the seconds of each hour in which an experiment ran."""
    longest = np.zeros(hours)
    for frames in review.cameras.values():
        rows = frames.rows[frames.analysed]
        times_s = rows["time_s"].to_numpy(np.float64)
        running = rows["status"].fillna("").astype(bool).to_numpy(bool)
        steps_s = np.clip(np.diff(times_s, append=times_s[-1:]), 0, _LONGEST_STEP_S)
        hour = np.maximum(times_s[running] // HOUR_S, 0).astype(np.int64)
        seconds = np.bincount(hour, steps_s[running], minlength=hours)
        longest = np.maximum(longest, seconds)
    return tuple(float(seconds) for seconds in longest)


def _animals_by_trigger(review: Review) -> dict[str, str]:
    """Return the names of the animals of each trigger; none where settings can't be used."""
    try:
        triggers = load(review.folder.path / "settings.ini").new_triggers()
    except SettingsError:
        return {}
    names = review.skeleton.animals
    return {
        trigger: ", ".join(
            dict.fromkeys(_name(animal, names) for animal in _named(trigger, triggers))
        )
        if names
        else ""
        for trigger in triggers
    }


def _named(name: str, triggers: Mapping[str, Trigger]) -> Iterator[str]:
    """Yield the animals of a trigger and of those that it combines, as settings name them."""
    for combined in with_combined(name, triggers):
        for animals in triggers[combined].named_animals.values():
            yield from animals


def _name(animal: str, names: Sequence[str]) -> str:
    if animal.isdecimal() and 0 < int(animal) <= len(names):
        return names[int(animal) - 1]
    return animal
