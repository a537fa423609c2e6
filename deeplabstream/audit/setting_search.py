"""Setting search: the setting of a trigger that would have met a wished share of wrong answers.

What the raters said about a frame is true for every setting: whether the condition held. So
candidates are evaluated on all recorded poses by the exact replay, and each judged clip tells
whether a candidate is right on that frame. How many frames of each stratum a candidate fires
on is known; how many of these are right is estimated as in `estimation`.

A candidate changes one number of the trigger (a limit, or HOLD_MS, MIN_DWELL_S, EXIT_DELAY_S)
and the confidence from which a body part counts. A higher confidence leaves more frames unknown,
so HOLD_MS is also tried together with each limit at higher confidences. On one half of the clips,
the candidate with the best recall is chosen among those that meet a quarter of the wish (`MARGIN`)
with a probability of `CERTAINTY`: the best of many by few clips is worse than it seems, and
another video has another rate. With the wish itself, 7 of 10 settings met it on another video.
Its figures are stated on the other half: those of the first half are too good, because the
best of many was chosen by them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from deeplabstream.audit.audit import Audit
from deeplabstream.audit.estimation import shares_of
from deeplabstream.audit.intervals import number_held, share_of, share_of_both
from deeplabstream.audit.sampling import Population, trigger_populations
from deeplabstream.core.errors import DeepLabStreamError, DeviceError, counted
from deeplabstream.core.pose import Thresholds
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.plugins.trigger import DebounceSettings, Trigger
from deeplabstream.recording.audit_results import Interval
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.fields import Maker, keys_of
from deeplabstream.settings.loading import Settings, load
from deeplabstream.settings.validation_messages import leaves
from deeplabstream.startup.progress import Bar, progress_bar

CERTAINTY = 0.8
"""Probability with which a chosen setting meets the wish, on the first half of the clips."""
MARGIN = 0.25
"""Share of the wish that a setting has to meet on the first half."""
_DEBOUNCE = ("HOLD_MS", "MIN_DWELL_S", "EXIT_DELAY_S")
"""Keys of the debounce that are searched; the others limit how often outputs are on."""
_FACTORS = (0.5, 0.7, 0.85, 1.2, 1.5, 2.0)
_FROM_ZERO: Mapping[str, tuple[float, ...]] = {
    "_S": (0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
    "_MS": (50.0, 100.0, 200.0, 500.0),
    "": (1.0, 2.0, 5.0, 10.0, 20.0),
}
"""Values in place of 0, by the end of the key."""
_CONFIDENCES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_HOLDS_MS = (100.0, 200.0)
"""HOLD_MS that is tried together with another change."""
_CONSENSUS = (0.3, 0.6, 0.8, 0.9)
"""Limits between the shares of candidates that fire on a frame."""
_USUAL_RIGHT, _RARE_WRONG = 0.5, 0.05
"""Prior counts of right and of wrong frames at each share of candidates."""
_DRAWS = 1000
_SEED = 20
_FEWEST = 10
"""Smallest number of judged clips of a trigger."""
Figures: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class TriggerSetting:
    """A setting of a trigger: changed fields by key, and the confidence."""

    confidence: float
    changes: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        texts = [f"{key} = {value:g}" for key, value in self.changes.items()]
        return ", ".join([*texts, f"confidence from {self.confidence:g} on"])


@dataclass(frozen=True, kw_only=True)
class SettingChoice:
    """The setting that was chosen for a trigger, and its figures on the other half."""

    trigger: str
    wish: float
    """Wished share of the frames with a true answer on which the condition did not hold."""
    setting: TriggerSetting
    meets: bool
    """Whether it meets the wish; else it is the nearest one."""
    clips: int
    """Number of clips of the other half."""
    wrong: Interval | None
    """Share of wrong frames among those with a true answer, on the other half."""
    recall: Interval | None

    def __str__(self) -> str:
        figures = (
            "; ".join(
                f"{name} {figure.value:.1%} (95 %: {figure.low:.1%} to {figure.high:.1%})"
                for name, figure in (("wrong", self.wrong), ("recall", self.recall))
                if figure is not None
            )
            or "no clip on which it fires"
        )
        wish = f"{100 * self.wish:.3g} % wrong"
        found = (
            f"would have met {wish}"
            if self.meets
            else f"is nearest to {wish}, but not known to meet it: judge more clips"
        )
        return (
            f"[Trigger {self.trigger}] {self.setting} {found}; on the other half "
            f"({counted(self.clips, 'clip')}): {figures}"
        )


def find_setting(
    audit: Audit, trigger: str, wish: float = 0.01, place: str = ""
) -> SettingChoice:
    """Return the setting of a trigger that would have met a wished share of wrong answers.

    Parameters
    ----------
    audit : Audit
        The audited run.
    trigger : str
        Name of the trigger.
    wish : float
        Largest share of the frames with a true answer on which the condition may not hold.
    place : str
        Text before the progress: which of several searches this is.

    Raises
    ------
    DeepLabStreamError
        Too few clips were judged, or the run can't be re-run.
    """
    if not 0 < wish < 1:
        raise DeepLabStreamError(f"wish = {wish:g}: expected a share between 0 and 1")
    shares = shares_of(audit.sample, audit.counting_verdicts)
    clips = [
        clip
        for clip in audit.sample.clips
        if clip.kind == "trigger" and clip.name == trigger and clip.number in shares
    ]
    if len(clips) < _FEWEST:
        raise DeepLabStreamError(
            f"[Trigger {trigger}]: {counted(len(clips), 'clip')} judged; at least "
            f"{_FEWEST} are needed to look for a setting"
        )

    folder = audit.review.folder
    settings = load(folder.path / "settings.ini")
    if trigger not in settings.triggers:
        raise DeepLabStreamError(
            f"{folder.path} has no settings of [Trigger {trigger}]"
        )
    camera = clips[0].camera
    candidates = list(
        candidates_of(settings.triggers[trigger], folder.thresholds.of(camera))
    )
    frames = sum(int(one.analysed.sum()) for one in audit.review.cameras.values())
    replays = len({candidate.confidence for candidate in candidates})
    what = f"{place}[Trigger {trigger}], frames replayed"
    with progress_bar(what, frames * replays) as bar:
        answers = answers_with(settings, folder, trigger, camera, candidates, bar)

    cells = _Cells.of(
        list(trigger_populations(audit.review, [trigger])),
        answers,
        {clip.time_s: shares[clip.number] for clip in clips},
    )
    chosen, meets = _choose(cells.half(0), candidates, MARGIN * wish)
    other = cells.half(1)
    wrong, recall = other.figures(candidates.index(chosen))
    return SettingChoice(
        trigger=trigger,
        wish=wish,
        setting=chosen,
        meets=meets,
        clips=other.judged,
        wrong=wrong,
        recall=recall,
    )


def candidates_of(maker: Maker[Trigger], confidence: float) -> Iterator[TriggerSetting]:
    """Yield the settings that are tried, the present one first."""
    single: list[dict[str, float]] = [{}]
    held: list[dict[str, float]] = []
    for key, value in _numbers(maker):
        for other in _values(key, value):
            if _is_valid(maker, key, other):
                single.append({key: other})
                if key not in _DEBOUNCE:
                    held += [{key: other, "HOLD_MS": hold} for hold in _HOLDS_MS]
    others = [other for other in _CONFIDENCES if abs(other - confidence) > 0.02]
    for threshold in (confidence, *others):
        for changes in single + held if threshold > confidence else single:
            yield TriggerSetting(threshold, changes)


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of several candidates on the frames of a run.

    Attributes
    ----------
    times_s : numpy.ndarray of float64, shape (frame,)
        Time of each analysed frame, seconds since Start Stream.
    fired : numpy.ndarray of bool, shape (candidate, frame)
        Whether each candidate was true.
    """

    times_s: NDArray[np.float64]
    fired: NDArray[np.bool_]


def answers_with(
    settings: Settings,
    folder: RunFolder,
    trigger: str,
    camera: str,
    candidates: Sequence[TriggerSetting],
    bar: Bar | None = None,
) -> Answers:
    """Return the answers of candidates for a trigger on the recorded poses of a run.

    All candidates with the same confidence are evaluated in one replay, as further triggers
    beside the recorded ones. Shams are left out: they say nothing about the condition. `bar`
    shows the number of replayed frames. DeviceError: the run can't be re-run.
    """
    maker = settings.triggers[trigger]
    known = keys_of(maker.kind)
    by_confidence: dict[float, list[int]] = defaultdict(list)
    for at, candidate in enumerate(candidates):
        by_confidence[candidate.confidence].append(at)

    fired: list[list[bool]] = [[] for _ in candidates]
    times_s: list[float] = []
    start_ns = int(folder.facts["start_ns"])
    before = folder.thresholds
    replayed = 0
    for confidence, places in by_confidence.items():
        names = {f"{trigger}~{at}": at for at in places}
        makers = {
            name: Maker(
                maker.kind,
                {
                    **maker.values,
                    "probability": 1.0,
                    **{
                        known[key][0]: value
                        for key, value in candidates[at].changes.items()
                    },
                },
            )
            for name, at in names.items()
        }
        tried = replace(settings, triggers={**settings.triggers, **makers})
        thresholds = Thresholds(
            before.usual if before.own else confidence,
            {**before.own, camera: confidence} if before.own else {},
        )
        times_s = []
        try:
            steps = rerun_decisions(tried, folder, thresholds=thresholds)
            for recorded, step in steps:
                replayed += 1
                if bar is not None:
                    bar.show(replayed)
                if recorded.camera == camera:
                    times_s.append((recorded.exposed_ns - start_ns) / 1e9)
                    for name, at in names.items():
                        fired[at].append(step.answers.get(name) is True)
        except (OSError, ValueError, KeyError) as error:
            raise DeviceError(f"{folder.path} can't be re-run: {error}") from error
    return Answers(np.array(times_s), np.array(fired, np.bool_))


# --- candidates


def _numbers(maker: Maker[Trigger]) -> Iterator[tuple[str, float]]:
    """Yield key and value of the numeric limits and the debounce of a trigger."""
    trigger, shared = maker(), keys_of(DebounceSettings)
    for key, (name, info) in keys_of(maker.kind).items():
        if key in shared and key not in _DEBOUNCE:
            continue
        value = getattr(trigger, name)
        if leaves(info.annotation) <= {int, float} and type(value) in (int, float):
            yield key, value


def _values(key: str, value: float) -> Iterator[float]:
    """Yield other values of a number, of its own type."""
    if value:
        others = [float(f"{value * factor:.3g}") for factor in _FACTORS]
    else:
        end = next(end for end in ("_MS", "_S", "") if key.endswith(end))
        others = list(_FROM_ZERO[end])
    if type(value) is int:
        others = sorted({round(other) for other in others} - {value})
    yield from others


def _is_valid(maker: Maker[Trigger], key: str, value: float) -> bool:
    name = keys_of(maker.kind)[key][0]
    try:
        maker.kind(**{**maker.values, name: value})
    except (ValidationError, ValueError):
        return False
    return True


# --- estimation


@dataclass(frozen=True, eq=False)
class _Cell:
    """A stratum with the answers of all candidates on its frames."""

    fired: NDArray[np.bool_]
    """(candidate, frame)"""
    judged: NDArray[np.intp]
    """Places of the judged frames among the frames."""
    shares: NDArray[np.float64]
    """Share of the raters who say that the condition held, of each judged frame."""


def halves(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return two random halves of `count` places, the same at each call, in order."""
    order = np.random.default_rng(_SEED).permutation(count)
    return np.sort(order[::2]), np.sort(order[1::2])


@dataclass(frozen=True, eq=False)
class _Cells:
    """The strata of a trigger."""

    cells: Sequence[_Cell]

    @classmethod
    def of(
        cls,
        populations: Sequence[Population],
        answers: Answers,
        shares: Mapping[float, float],
    ) -> "_Cells":
        """Return the cells; `shares` has the judged frames by time."""
        cells = []
        for population in populations:
            places = np.searchsorted(answers.times_s, population.times_s)
            known = places < len(answers.times_s)
            known[known] &= answers.times_s[places[known]] == population.times_s[known]
            times_s = population.times_s[known]
            judged = [at for at, time_s in enumerate(times_s) if time_s in shares]
            cells.append(
                _Cell(
                    answers.fired[:, places[known]],
                    np.array(judged, np.intp),
                    np.array([shares[float(times_s[at])] for at in judged]),
                )
            )
        return cls(cells)

    def half(self, which: int) -> "_Cells":
        """Return the cells with every second judged frame, of each stratum."""
        found = []
        for cell in self.cells:
            chosen = halves(len(cell.judged))[which]
            found.append(
                replace(cell, judged=cell.judged[chosen], shares=cell.shares[chosen])
            )
        return _Cells(found)

    @property
    def judged(self) -> int:
        """Number of judged frames."""
        return sum(len(cell.judged) for cell in self.cells)

    def fires_on_clip(self, candidate: int) -> bool:
        """Return whether a candidate is true on a judged frame."""
        return any(cell.fired[candidate][cell.judged].any() for cell in self.cells)

    def figures(self, candidate: int) -> tuple[Interval | None, Interval | None]:
        """Return wrong share and recall of a candidate; None: it fires on no clip."""
        if not self.fires_on_clip(candidate):
            return None, None
        on, off = [], []
        for cell in self.cells:
            fired = cell.fired[candidate]
            size, at_clips = int(fired.sum()), fired[cell.judged]
            on.append((size, cell.shares[at_clips].tolist()))
            off.append((len(fired) - size, cell.shares[~at_clips].tolist()))
        right, missed = number_held(on), number_held(off)
        wrong = number_held((size, [1 - s for s in shares]) for size, shares in on)
        return share_of(wrong, sum(size for size, _ in on)), share_of_both(
            right, missed
        )


def _choose(
    cells: _Cells, candidates: Sequence[TriggerSetting], most: float
) -> tuple[TriggerSetting, bool]:
    """Return the setting with the best recall that meets a share, else the nearest one."""
    wrong, recall = _figures_by_consensus(cells)
    certainty = (wrong <= most).mean(axis=0)
    values = np.median(recall, axis=0)
    usable = [at for at in range(len(candidates)) if cells.fires_on_clip(at)]
    if not usable:
        raise DeepLabStreamError(
            "no setting is true on any judged clip: judge more clips"
        )
    meeting = [at for at in usable if certainty[at] >= CERTAINTY]
    if meeting:
        return candidates[max(meeting, key=lambda at: float(values[at]))], True
    return candidates[max(usable, key=lambda at: float(certainty[at]))], False


def _figures_by_consensus(cells: _Cells) -> tuple[Figures, Figures]:
    """Return draws (draw, candidate) of the share of wrong frames, and of recall.

    Few clips can't tell candidates apart one by one: of many without an error among 50 clips
    some are wrong on 3 %. But frames on which most candidates fire are rarely wrong, whatever
    the candidate. So the judged clips of all frames tell the rate of errors for each share of
    candidates that fire, and a candidate has the rates of the frames on which it fires.
    """
    fired = np.concatenate([cell.fired for cell in cells.cells], axis=1)
    bins = np.digitize(fired.mean(axis=0), _CONSENSUS)
    count = len(_CONSENSUS) + 1

    # A clip stands for all frames of its stratum that were not judged.
    weights, squares, right = np.zeros(count), np.zeros(count), np.zeros(count)
    first = 0
    for cell in cells.cells:
        size = cell.fired.shape[1]
        if len(cell.judged):
            weight = size / len(cell.judged)
            at = bins[first + cell.judged]
            np.add.at(weights, at, weight)
            np.add.at(squares, at, weight**2)
            np.add.at(right, at, weight * cell.shares)
        first += size

    # Kish's effective number of clips with unequal weights
    clips = np.divide(weights**2, squares, out=np.zeros(count), where=squares > 0)
    share = np.divide(right, weights, out=np.zeros(count), where=weights > 0)
    rates = np.random.default_rng(_SEED).beta(
        share * clips + _USUAL_RIGHT, (1 - share) * clips + _RARE_WRONG, (_DRAWS, count)
    )
    sizes = np.stack([np.bincount(bins[on], minlength=count) for on in fired])
    held = rates @ sizes.T
    whole = rates @ np.bincount(bins, minlength=count)
    return 1 - held / np.maximum(sizes.sum(axis=1), 1), held / whole[:, None]
