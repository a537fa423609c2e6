"""Clip tables: the clips of an audit as CSV, to judge them in another program."""

import csv
from pathlib import Path
from typing import cast, get_args

from deeplabstream.audit.audit import Audit
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.delimited_text import read_delimited
from deeplabstream.recording.audit_files import GivenVerdict, Verdict
from deeplabstream.recording.cell_formats import STATE_NAMES

COLUMNS = (
    "clip", "kind", "name", "animal", "answer", "camera", "frame", "time_s", "video",
    "video_frame", "verdict",
)  # fmt: skip


def export_clips(audit: Audit, file: Path, rater: str = "") -> int:
    """Write the clips with the verdicts of a rater, if any; return their number.

    `video` and `video_frame` are the last image of the clip. OSError: it can't be written.
    """
    with (
        atomic_file(file) as draft,
        draft.open("w", encoding="utf-8", newline="") as text,
    ):
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for clip in audit.sample.clips:
            place = audit.review.video_frame_of(clip.camera, audit.row_of(clip))
            video, frame = ("", "") if place is None else (place[0].name, place[1])
            table.writerow((
                clip.number, clip.kind, clip.name, clip.animal, STATE_NAMES[clip.answer],
                clip.camera, clip.frame, f"{clip.time_s:.6f}", video, frame,
                audit.verdict(clip, rater) or "",
            ))  # fmt: skip
    return len(audit.sample.clips)


def import_verdicts(audit: Audit, file: Path, rater: str) -> int:
    """Store the verdicts of a table that `export_clips` wrote; return their number.

    Only the columns `clip` and `verdict` are used; clips without a verdict, or with the one
    that the rater gave already, are left out. DeepLabStreamError: the table can't be used;
    nothing was stored.
    """
    try:
        head, *rows = read_delimited(file).rows()
        clips, verdicts = head.index("clip"), head.index("verdict")
        given = [
            entry
            for line, row in enumerate(rows, start=2)
            if (entry := _verdict(audit, line, row[clips], row[verdicts], rater))
        ]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise DeepLabStreamError(f"{file} can't be imported: {error}") from error
    if given:
        audit.give_all(given)
    return len(given)


def _verdict(
    audit: Audit, line: int, clip: str, verdict: str, rater: str
) -> GivenVerdict | None:
    """Return the verdict of a row; None: none, or the same as before. ValueError: wrong."""
    said = verdict.strip().lower()
    if not said:
        return None
    if said not in get_args(Verdict):
        expected = ", ".join(get_args(Verdict))
        raise ValueError(f"line {line}: verdict {verdict!r}; expected {expected}")
    count = len(audit.sample.clips)
    if not (clip.strip().isdecimal() and 0 < int(clip) <= count):
        raise ValueError(f"line {line}: clip {clip!r}; expected 1 to {count}")
    if audit.verdict(audit.clip(int(clip)), rater) == said:
        return None
    return GivenVerdict(clip=int(clip), rater=rater, verdict=cast("Verdict", said))
