"""Plot the trial-averaged activity of a session: pupil, paws, motion energy, wheel, licks.

    python utils/PlotSession.py mouse/2026-11-21/001 --event stimOn_times

Reads the ALF files of the session; plots mean and standard error over trials.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.numerics.peri_event import Around, Signal, around
from deeplabstream.offline.ibl.trial_activity import signals
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.ibl.session_trials import Trials, read_trials


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Draw."""
    asked = _parser().parse_args(argv)
    trials = read_trials(asked.trials or _table(asked.session))
    events = trials.moments(asked.event)[trials.chosen(asked.choose)]
    drawn = [
        (signal, around(signal, events, asked.before, asked.after))
        for signal in signals(asked.session)
    ]
    if not drawn:
        raise DeepLabStreamError(
            f"{asked.session} has no features, motion energy, wheel or licks in alf/"
        )
    path = asked.output or asked.session / f"alf/activity.{asked.event}.png"
    check_free([path], asked.overwrite)
    _draw(path, drawn, asked.event, trials)
    print(path)
    return 0


def _table(session: Path) -> Path:
    found = sorted(session.glob("alf/**/_ibl_trials.table.pqt"))
    if not found:
        raise DeepLabStreamError(
            f"{session} has no _ibl_trials.table.pqt; use --trials"
        )
    return found[0]


def _draw(
    path: Path, drawn: Sequence[tuple[Signal, Around]], event: str, trials: Trials
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1.6 * len(drawn) + 1), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for axes, (signal, found) in zip(rows, drawn, strict=True):
        mean, error = found.mean, found.error
        axes.axvline(0, color="0.7", linewidth=1)
        axes.fill_between(found.offsets_s, mean - error, mean + error, alpha=0.3)
        axes.plot(found.offsets_s, mean)
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


def _parser() -> ProgramParser:
    parser = ProgramParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("session", type=Path, help="a session's folder")
    add("--event", default="stimOn_times", help="column of the table of trials")
    add(
        "--trials",
        type=Path,
        metavar="TABLE",
        help="file with the trials (default: of the session)",
    )
    add("--choose", type=int, nargs="+", metavar="N", help="trials to plot, from 0")
    add("--before", type=float, default=0.5, metavar="S")
    add("--after", type=float, default=1.5, metavar="S")
    add(
        "--output",
        type=Path,
        metavar="PNG",
        help="plot to write (default: in the session's alf/)",
    )
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
