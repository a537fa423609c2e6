"""Audit of a run: its clips, the verdicts of each rater, and the figures so far."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from deeplabstream.audit.estimation import estimate
from deeplabstream.audit.sampling import draw_sample
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.audit_files import (
    AuditClip,
    AuditFile,
    AuditSample,
    GivenVerdict,
    Verdict,
    append_verdicts,
    has_audit,
    in_force,
    read_audit,
    write_sample,
)
from deeplabstream.recording.audit_results import (
    AuditResults,
    read_results,
    write_results,
)
from deeplabstream.recording.run_review import Review, review

__all__ = ["CLIP_S", "Audit", "AuditClip", "AuditResults", "Verdict", "open_audit"]

CLIP_S = 2.0
"""Length of a clip; it ends with the frame of the decision: nothing after it is shown."""


class Audit:
    """An audit that was begun. Several programs may work on the same run.

    `review` is the run: frames, poses, answers of the triggers.
    """

    def __init__(self, review: Review, file: AuditFile) -> None:
        self.review = review
        self._file = file

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.review.folder.path

    @property
    def sample(self) -> AuditSample:
        """The clips that are judged."""
        return self._file.sample

    @property
    def raters(self) -> tuple[str, ...]:
        """Names of all who have judged a clip, in alphabetical order."""
        return tuple(sorted({rater for _, rater in in_force(self._file.verdicts)}))

    @property
    def counting_verdicts(self) -> tuple[GivenVerdict, ...]:
        """The verdicts that count."""
        return tuple(in_force(self._file.verdicts).values())

    def clip(self, number: int) -> AuditClip:
        """Return the clip with a number, from 1 on."""
        return self.sample.clips[number - 1]

    def verdict(self, clip: AuditClip, rater: str) -> Verdict | None:
        """Return what a rater said about a clip; None: not yet judged."""
        given = in_force(self._file.verdicts).get((clip.number, rater))
        return None if given is None or given.verdict == "undo" else given.verdict

    def judged(self, rater: str) -> int:
        """Return the number of clips that a rater has judged."""
        return len(self.sample.clips) - len(self.open_clips(rater))

    def open_clips(self, rater: str) -> list[AuditClip]:
        """Return the clips that a rater has not judged."""
        known = in_force(self._file.verdicts)
        return [clip for clip in self.sample.clips if (clip.number, rater) not in known]

    def next_clip(self, rater: str) -> AuditClip | None:
        """Return the first clip that a rater has not judged; None: all are judged."""
        return next(iter(self.open_clips(rater)), None)

    def give(
        self, clip: AuditClip, rater: str, verdict: Verdict, seconds: float = 0.0
    ) -> None:
        """Store a verdict; it replaces an earlier one of the rater.

        `seconds` is the time that it took. DeepLabStreamError: no such verdict, or no name.
        DeviceError: it can't be written.
        """
        given = GivenVerdict(
            clip=clip.number,
            rater=rater.strip(),
            verdict=verdict,
            seconds=round(seconds, 3),
            when=_now(),
        )
        self._file = append_verdicts(self.run, [given])

    def give_all(self, given: Sequence[GivenVerdict]) -> None:
        """Store several verdicts at once; see `give`."""
        signed = [replace(entry, when=entry.when or _now()) for entry in given]
        self._file = append_verdicts(self.run, signed)

    def undo(self, rater: str) -> AuditClip | None:
        """Take back the last verdict of a rater; return its clip, None: there is none."""
        self._file = read_audit(self.run)
        counting = {id(entry) for entry in in_force(self._file.verdicts).values()}
        for number in range(len(self._file.verdicts), 0, -1):
            entry = self._file.verdicts[number - 1]
            if entry.rater == rater and id(entry) in counting:
                back = GivenVerdict(
                    rater=rater, verdict="undo", when=_now(), undoes=number
                )
                self._file = append_verdicts(self.run, [back])
                return self.clip(entry.clip)
        return None

    def refresh(self) -> None:
        """Read the verdicts that other programs have stored; DeviceError: damaged."""
        self._file = read_audit(self.run)

    def row_of(self, clip: AuditClip) -> int:
        """Return the row of a clip's last frame in `review.cameras[clip.camera]`."""
        return self.review.row_at(clip.camera, clip.time_s)

    def rows_of(self, clip: AuditClip) -> range:
        """Return the rows of a clip: `CLIP_S` up to the decision."""
        first = self.review.row_at(clip.camera, clip.time_s - CLIP_S)
        return range(first, self.row_of(clip) + 1)

    def results(self) -> AuditResults:
        """Return the figures of the verdicts so far; with settings that were looked for.

        The verdicts are read again: others may have judged during a long search.
        """
        stored = read_results(self.run)
        settings = stored.settings if stored is not None else ()
        return replace(estimate(read_audit(self.run)), settings=settings)

    def save_results(self, settings: Sequence[str] | None = None) -> AuditResults:
        """Store the figures of the verdicts so far in the run folder, and return them.

        `settings` are sentences of a search for settings, in place of stored ones.
        """
        results = self.results()
        if settings is not None:
            results = replace(results, settings=tuple(settings))
        write_results(self.run, results)
        return results


def open_audit(
    run: Path,
    count: int = 100,
    seed: int | None = None,
    triggers: Sequence[str] = (),
) -> Audit:
    """Return the audit of a run, with a new sample if there is none; see `draw_sample`.

    A sample that was drawn before is kept, whatever the arguments. DeepLabStreamError: the
    run can't be read, or has no decisions that can be judged.
    """
    read = review(run)
    if has_audit(run):
        return Audit(read, read_audit(run))
    if not read.cameras:
        raise DeepLabStreamError(f"{run} can't be audited: it has no poses")
    return Audit(read, write_sample(run, draw_sample(read, count, seed, triggers)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
