r"""Audit the triggers of a recorded run: how often they were right, with intervals.

    python utils/AuditRun.py RUN
    python utils/AuditRun.py RUN --clips 200 --triggers in_corner
    python utils/AuditRun.py RUN --export clips.csv
    python utils/AuditRun.py RUN --import clips.csv --rater anna
    python utils/AuditRun.py RUN --sweep --wish 0.01

The first call draws a random sample of answers and switch-ons; later ones go on with it.
The window shows the clips (Runs, Audit triggers); a table can be judged elsewhere. Each call
prints the figures so far and stores them in the run folder. docs/audit.md describes the method.
"""

from pathlib import Path

from deeplabstream.audit.audit import Audit, open_audit
from deeplabstream.audit.clip_tables import export_clips, import_verdicts
from deeplabstream.audit.setting_search import find_setting
from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options


@program_options
class AuditRun:
    """A recorded run, and the sample of its decisions."""

    run: Path = option(positional=True, metavar="RUN")
    """Run folder, also of a video that VideoAnalyzer.py analysed."""
    clips: int = option(default=100, ge=1, metavar="N")
    """Number of clips of a new sample."""
    seed: int | None = option(default=None, ge=0, metavar="N")
    """Seed of a new sample; default: a new one."""
    triggers: tuple[str, ...] = option(default=(), metavar="NAME")
    """Triggers of a new sample; default: all."""
    export: Path | None = option(default=None, metavar="FILE.csv")
    """Table to write: the clips, with the verdicts of --rater."""
    verdicts: Path | None = option(
        default=None, metavar="FILE.csv", aliases=("--import",)
    )
    """Table to read: verdicts of --rater in the columns clip and verdict."""
    rater: str = option(default="", metavar="NAME")
    """Who judged."""
    hours: bool = option(default=False)
    """Print the figures of each hour too."""
    sweep: bool = option(default=False)
    """Look for the setting of each trigger that would have met --wish."""
    wish: float = option(default=0.01, gt=0, lt=1, metavar="SHARE")
    """Wished share of true answers that are wrong."""

    def __post_init__(self) -> None:
        if self.verdicts and not self.rater.strip():
            raise DeepLabStreamError("verdicts: name who judged with --rater")


def audit_run(options: AuditRun) -> int:
    """Draw or continue a sample, and print the figures."""
    audit = open_audit(options.run, options.clips, options.seed, options.triggers)
    for warning in audit.review.warnings:
        print(warning)
    if options.verdicts:
        count = import_verdicts(audit, options.verdicts, options.rater.strip())
        print(f"{counted(count, 'verdict')} of {options.rater.strip()} stored")
    if options.export:
        count = export_clips(audit, options.export, options.rater.strip())
        print(f"{counted(count, 'clip')} written to {options.export}")

    settings = _settings(audit, options.wish) if options.sweep else None
    results = audit.save_results(settings)
    for line in results.lines(options.hours):
        print(line)
    if not results.judged:
        print(
            "no clip is judged yet: use Runs, Audit triggers in the window, or --export and "
            "--import"
        )
    return 0


def _settings(audit: Audit, wish: float) -> list[str]:
    """Return a sentence on the setting of each trigger of the sample."""
    names = [s.of for s in audit.sample.strata if s.kind == "trigger"]
    sentences, triggers = [], [*dict.fromkeys(names)]
    for number, name in enumerate(triggers, start=1):
        place = f"{number} of {len(triggers)}: " if len(triggers) > 1 else ""
        try:
            sentences.append(str(find_setting(audit, name, wish, place)))
        except DeepLabStreamError as error:
            sentences.append(f"no setting of [Trigger {name}]: {error}")
    return sentences


PROGRAM = Program(AuditRun, audit_run, __doc__, "AuditRun")
