"""Print the uptime of runs: time, exposures accounted for, gaps with reasons, restarts, alarms.

    python utils/Uptime.py output
    python utils/Uptime.py output --json uptime.json
    python utils/Uptime.py output --daily "19:00 - 07:00"

It reads the tables and events of the runs, and changes none. docs/rack.md defines the figures.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from math import floor
from pathlib import Path
from typing import Any

from deeplabstream.analysis.missed_days import days_without_run, missed_spans
from deeplabstream.analysis.study import find_runs
from deeplabstream.analysis.uptime import RunUptime, measure_uptime, total
from deeplabstream.core.visible_text import visible
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.overwriting import check_new
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.daily_span_setting import DailySpanSetting
from deeplabstream.settings.option_fields import option, program_options

HEAD = (
    "run", "planned", "recorded", "exposures", "accounted for", "gaps", "restarts",
    "in alarm", "ended",
)  # fmt: skip
_MOST_GAPS = 50
"""Gaps that are printed; the file has all."""
_MOST_DAYS = 14
"""Days without a run that are printed."""


@program_options
class UptimeOptions:
    """The runs, and a file for the figures."""

    folder: tuple[Path, ...] = option(positional=True)
    """Output folders, or single runs."""
    daily: DailySpanSetting | None = option(default=None, metavar="SPAN")
    """Count this time of each day between the runs as planned, such as 19:00 - 07:00."""
    json: Path | None = option(default=None, metavar="FILE")
    """Write the figures here."""
    overwrite: bool = overwrite()


def report_uptime(options: UptimeOptions) -> int:
    """Print and write the figures; return 1 if a run could not be read."""
    if options.json is not None and not options.overwrite:
        check_new(options.json)
    runs, failed = measure_uptime(find_runs(options.folder))
    days = days_without_run(runs)
    if options.daily is not None:
        runs += missed_spans(runs, options.daily)
        runs.sort(key=lambda run: run.started.timestamp() if run.started else 0.0)
    whole = total(runs)

    for line in _table([HEAD, *map(_cells, runs), _cells(whole)]):
        _print(line)
    gaps = [(run, gap) for run in runs for gap in run.gaps]
    for run, gap in gaps[:_MOST_GAPS]:
        _print(f"gap: {run.name}: {gap.seconds:.1f} s: {gap.reason}")
    if len(gaps) > _MOST_GAPS:
        _print(f"… and {len(gaps) - _MOST_GAPS} more gaps")
    if days:
        _print(
            f"no run on {len(days)} days between the first and the last: {_list(days)}"
        )
        if options.daily is None:
            _print("these days are not counted as planned; --daily counts them")
    for path, problem in failed:
        _print(f"{path}: not counted, it can't be read: {problem}")

    if options.json is not None:
        content = {
            "runs": [_facts(run) for run in runs],
            "total": _facts(whole),
            "days_without_run": [f"{day:%Y-%m-%d}" for day in days],
            "not_read": {str(path): problem for path, problem in failed},
        }
        write_json(options.json, content)
    return 1 if failed else 0


def _cells(run: RunUptime) -> tuple[str, ...]:
    gap_s = sum(gap.seconds for gap in run.gaps)
    return (
        run.name,
        _duration(run.planned_s),
        _duration(run.recorded_s),
        str(run.exposures),
        _percent(run.accounted),
        f"{len(run.gaps)} ({gap_s:.1f} s)" if run.gaps else "0",
        str(run.restarts),
        UNRECORDED if run.alarm_s is None else _duration(run.alarm_s),
        run.ended.partition("\n")[0][:40],
    )


UNRECORDED = "not recorded"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _list(days: Sequence[date]) -> str:
    rest = f" and {len(days) - _MOST_DAYS} more" if len(days) > _MOST_DAYS else ""
    return ", ".join(f"{day:%Y-%m-%d}" for day in days[:_MOST_DAYS]) + rest


def _percent(share: float | None) -> str:
    """Return a share in percent, rounded down: only all are 100 %."""
    return "–" if share is None else f"{floor(share * 1e5) / 1e3:.3f} %"


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _facts(run: RunUptime) -> dict[str, Any]:
    return {
        "name": run.name,
        "started": run.started.isoformat() if run.started else None,
        "ended": run.ended or None,
        "planned_s": round(run.planned_s, 3),
        "recorded_s": round(run.recorded_s, 3),
        "exposures": run.exposures,
        "with_row": run.with_row,
        "counted_as_lost": run.counted,
        "missing": run.missing,
        "accounted_percent": None if run.accounted is None else 100 * run.accounted,
        "gaps": [
            {
                "begin_s": round(gap.begin_s, 3),
                "seconds": round(gap.seconds, 3),
                "reason": gap.reason,
            }
            for gap in run.gaps
        ],
        "restarts": run.restarts,
        "alarm_s": None if run.alarm_s is None else round(run.alarm_s, 3),
    }


def _print(text: str) -> None:
    print(visible(text))


PROGRAM = Program(UptimeOptions, report_uptime, __doc__, "Uptime", uses_rig=False)
