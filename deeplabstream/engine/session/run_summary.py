"""Run summary: counts and times of a run, as printed at the end of a program."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deeplabstream.core.command import Mark
from deeplabstream.core.errors import counted
from deeplabstream.core.journal_entries import Edge, Step
from deeplabstream.engine.session.messages import RunClosed
from deeplabstream.engine.session.session_state import Counts, News, SessionState
from deeplabstream.numerics.duration_histogram import DurationHistogram
from deeplabstream.recording.frame_accounts import FrameCounts

MOST_TEXTS = 1000
"""Different marks, and problems, that are counted apart: a run of weeks may have more."""
_OTHERS = "other marks"
_UNITS = r"s|ms|min|h|mm|cm|m|px|Hz|kHz|V|mA|mW|µl|ul|ml|g|mg|°"
_COUNT = rf"(?<=\w)\s+\d+\b(?!\.\d|\s?%|\s?(?:{_UNITS})(?!\w))"
"""A whole number after a word, without a unit."""


@dataclass
class AnalysedFrames:
    """Analysed frames of one camera."""

    number: int = 0
    first_ns: int = 0
    """Exposure time of the first one."""
    last_ns: int = 0

    def add(self, exposed_ns: int) -> None:
        """Count a frame."""
        if not self.number:
            self.first_ns = exposed_ns
        self.number += 1
        self.last_ns = exposed_ns

    @property
    def rate(self) -> float:
        """Frames per second from the first to the last one; 0: fewer than two."""
        span_s = (self.last_ns - self.first_ns) / 1e9
        return (self.number - 1) / span_s if span_s else 0.0


@dataclass(frozen=True)
class Summary:
    """Counts and times of a run; `add` counts what `RigSession.poll` returns.

    Its size does not grow with the number of frames.
    """

    seconds: float = 0.0
    started: bool = True
    """Whether the stream has started."""
    counts: Mapping[str, Counts] = field(default_factory=dict)
    """Frame counts by camera, as last read while it streamed."""
    provider: str = ""
    run_folder: Path | None = None
    accounts: list[FrameCounts] = field(default_factory=list)
    """Frame counts of each span, as in the run folder."""
    failures: tuple[str, ...] = ()
    analysed: dict[str, AnalysedFrames] = field(default_factory=dict)
    """Analysed frames by camera."""
    decided_ns: DurationHistogram = field(default_factory=DurationHistogram)
    """Time from exposure to decision of each analysed frame."""
    written_ns: DurationHistogram = field(default_factory=DurationHistogram)
    """Time from exposure to the last written byte, of frames that wrote to an output."""
    marks: Counter[str] = field(default_factory=Counter)
    """Number of marks by text."""
    switched_on: Counter[str] = field(default_factory=Counter)
    """By output: how often it was switched on."""
    lost: Counter[str] = field(default_factory=Counter)
    """Frames on which a trigger of the experiment was unknown, by camera."""

    def add(self, news: News) -> None:
        """Count one message of the session."""
        if isinstance(news, Step):
            self.decided_ns.add(news.decided_ns - news.exposed_ns)
            if news.written_ns:
                self.written_ns.add(news.written_ns - news.exposed_ns)
            self.lost[news.camera] += news.lost
            frames = self.analysed.setdefault(news.camera, AnalysedFrames())
            frames.add(news.exposed_ns)
            for command in news.commands:
                if isinstance(command, Mark):
                    text = without_count(command.text, news.triggers)
                    self._count_mark(text)
        elif isinstance(news, RunClosed):
            self.accounts.extend(news.accounts)
        elif isinstance(news, Edge) and news.level > 0:
            self.switched_on[news.output] += 1

    def with_failure(self, text: str) -> "Summary":
        """Return the summary with one more problem; only the first `MOST_TEXTS` are kept."""
        return replace(self, failures=(*self.failures, text)[:MOST_TEXTS])

    def _count_mark(self, text: str) -> None:
        known = text in self.marks or len(self.marks) < MOST_TEXTS
        self.marks[text if known else _OTHERS] += 1

    def with_state(self, state: SessionState) -> "Summary":
        """Return the summary with the counts of a state, unless they were reset."""
        busy = any(count.delivered for count in state.counts.values())
        return replace(
            self,
            counts=dict(state.counts) if busy else self.counts,
            provider=state.provider or self.provider,
            run_folder=state.run_folder or self.run_folder,
        )

    def lines(self) -> list[str]:
        """Return the summary as lines of text."""
        lines = [f"Ran for {self.seconds:.1f} s on {self.provider or 'no network'}."]
        if not self.started:
            lines = ["It did not start."]
        for camera, count in self.counts.items():
            lines.append(_delivered(camera, count))
            lines += [_balance(span) for span in self.accounts if span.camera == camera]
            if frames := self.analysed.get(camera):
                lines.append(_poses(camera, frames, self.lost[camera]))
        for what, times in (
            ("exposed to decided", self.decided_ns),
            ("exposed to written", self.written_ns),
        ):
            if times:
                p50, p99 = (times.quantile_ns(share) / 1e6 for share in (0.5, 0.99))
                lines.append(f"Latency, {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms.")
        lines += [
            f"Output {name}: on {counted(n, 'time')}."
            for name, n in _sorted(self.switched_on)
        ]
        lines += [
            f"Experiment: {text!r} {counted(n, 'time')}."
            for text, n in _sorted(self.marks)
        ]
        lines += [f"Problem: {text}" for text in self.failures]
        lines.append(f"Run folder: {self.run_folder or 'none, nothing was recorded'}")
        return lines


def _delivered(camera: str, count: Counts) -> str:
    device = "not known" if count.lost is None else str(count.lost)
    return f"Camera {camera}: {counted(count.delivered, 'frame')}, lost at the device: {device}."


def _balance(span: FrameCounts) -> str:
    """Return the frame balance of a span: exposed, delivered, analysed, recorded."""
    delivered = span.delivered
    exposed = "exposed: not known to the device"
    if span.dropped:
        exposed += f", {span.dropped} damaged or missing frames dropped"
    if span.lost is not None:
        exposed = f"{span.exposed} exposed = {delivered} delivered + {span.lost} lost"
    went = f"{span.analysed} analysed + {span.skipped} skipped"
    if span.recorded is not None:
        went = f"{span.recorded} recorded + {span.recording_losses} lost to the video"
    end = "." if span.is_balanced() else "; THIS DOES NOT CLOSE."
    return f"  {span.span}: {exposed}; {delivered} delivered = {went}{end}"


def _poses(camera: str, frames: AnalysedFrames, lost: int) -> str:
    text = f"Camera {camera}: {frames.number} poses, {frames.rate:.1f} per second"
    if lost:
        share = lost / frames.number
        text += f"; a trigger of the experiment was unknown in {share:.1%} of them"
    return f"{text}."


def without_count(text: str, names: Iterable[str] = ()) -> str:
    """Return a mark's text without its first count, so that equal marks can be counted.

    A count is a whole number after a word. Decimals, percentages, numbers with a unit or after
    a punctuation mark are values and stay, and so do the numbers of `names`, such as
    triggers that the text names.

    >>> without_count("entry 3 into left")
    'entry into left'
    >>> without_count("trial 12: tone")
    'trial: tone'
    >>> without_count("entry 3 into corner 2")
    'entry into corner 2'
    >>> without_count("zone 1: trial 3", ["zone 1"])
    'zone 1: trial'
    >>> without_count("left 9.7 s, unknown 0.0 s (0%)")
    'left 9.7 s, unknown 0.0 s (0%)'
    >>> without_count("session over: attacks: 3, pause 20 s")
    'session over: attacks: 3, pause 20 s'
    """
    known = [name for name in names if any(map(str.isdecimal, name))]
    known.sort(key=len, reverse=True)
    named = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in known) or r"(?!)"
    for found in re.finditer(rf"{named}|(?P<count>{_COUNT})", text):
        if found["count"]:
            return text[: found.start()] + text[found.end() :]
    return text


def _sorted(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted((name, n) for name, n in counter.items() if n)
