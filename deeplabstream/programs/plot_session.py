"""Plot the trial-averaged activity of a session: pupil, paws, motion energy, wheel, licks.

    python utils/PlotSession.py mouse/2026-11-21/001 --event stimOn_times

Reads the ALF files of the session; plots mean and standard error over trials.
"""

from collections.abc import Sequence
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.numerics.peri_event import Around, Signal, around
from deeplabstream.offline.ibl.session_trials import Trials, read_trials
from deeplabstream.offline.ibl.trial_activity import signals
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options


@program_options
class PlotSession:
    """A session, and the moments that its trials are aligned to."""

    session: Path = option(positional=True)
    """A session's folder."""
    event: str = option(default="stimOn_times")
    """Column of the table of trials."""
    trials: Path | None = option(default=None, metavar="TABLE")
    """File with the trials; default: of the session."""
    choose: tuple[int, ...] = option(default=(), metavar="N")
    """Trials to plot, from 0; default: all."""
    before: float = option(default=0.5, metavar="S")
    """Seconds before the event."""
    after: float = option(default=1.5, metavar="S")
    """Seconds after the event."""
    output: Path | None = option(default=None, metavar="PNG")
    """Plot to write; default: in the session's alf/."""
    overwrite: bool = overwrite()


def plot_session(options: PlotSession) -> int:
    """Draw the signals around the event."""
    session, event = options.session, options.event
    trials = read_trials(options.trials or _table(session))
    times_s = trials.moments(event)[trials.chosen(options.choose)]
    drawn = [
        (signal, around(signal, times_s, options.before, options.after))
        for signal in signals(session)
    ]
    if not drawn:
        raise DeepLabStreamError(
            f"{session} has no features, motion energy, wheel or licks in alf/"
        )
    path = options.output or session / f"alf/activity.{event}.png"
    check_free([path], options.overwrite)
    _draw(path, drawn, event, trials)
    print(path)
    return 0


def _table(session: Path) -> Path:
    tables = sorted(session.glob("alf/**/_ibl_trials.table.pqt"))
    if not tables:
        raise DeepLabStreamError(
            f"{session} has no _ibl_trials.table.pqt; use --trials"
        )
    return tables[0]


def _draw(
    path: Path, drawn: Sequence[tuple[Signal, Around]], event: str, trials: Trials
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1.6 * len(drawn) + 1), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for axes, (signal, activity) in zip(rows, drawn, strict=True):
        mean, error = activity.mean, activity.error
        axes.axvline(0, color="0.7", linewidth=1)
        axes.fill_between(activity.offsets_s, mean - error, mean + error, alpha=0.3)
        axes.plot(activity.offsets_s, mean)
        axes.set_title(signal.name, fontsize=9, loc="left")
        axes.set_ylabel(signal.unit, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    count = len(drawn[0][1].trials)
    rows[-1].set_xlabel(
        f"seconds from {event}, {counted(count, 'trial')} of {trials.file.name}"
    )
    with atomic_file(path) as making:
        figure.savefig(making, dpi=110)


PROGRAM = Program(PlotSession, plot_session, __doc__, "PlotSession")
