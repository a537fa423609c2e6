r"""Map the clock of a run to that of another recorder, from a TTL line that both have seen.

    python utils/AlignRecording.py RUN ephys/2026-11-21_10-58-50 --line 3
    python utils/AlignRecording.py RUN mouse_g0_t0.nidq.bin --line 0
    python utils/AlignRecording.py RUN edges.csv --unit ms --signal laser

Tables with the run's rows and their times on the recorder's clock, the residuals and their
plot are written to RUN/aligned/NAME; the run is not changed, and NWB exports include them.
Where the edges are ambiguous, or the expected error is too large, cells are empty.
docs/alignment.md describes it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.analysis.alignment_plot import alignment_plot
from deeplabstream.analysis.plot_style import save_plot
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import package_missing
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.progress import window_progress
from deeplabstream.recording.alignment.aligned_run import (
    PLOTS,
    align_run,
    aligned_folder,
    sentences,
    write_aligned,
)
from deeplabstream.recording.alignment.recording_data import RecorderOptions
from deeplabstream.recording.alignment.recordings import (
    READERS,
    UNITS,
    read_recording,
)
from deeplabstream.recording.run_opening import open_run_folder


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="AlignRecording.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", type=Path, help="run folder")
    add("recording", type=Path, help="file or folder of the other recorder")
    add("--kind", choices=READERS, default="",
        help="what wrote it; default: by its name")  # fmt: skip
    add("--line", default="", metavar="NAME",
        help="line, channel, stream or column with the signal")  # fmt: skip
    add("--signal", default="", metavar="NAME",
        help="input or output of the run (default: the sync signal of the board)")  # fmt: skip
    add("--name", default="", help="of the result (default: that of the recording)")
    add("--most-error-ms", type=float, default=1.0, metavar="MS",
        help="expected error above which a cell stays empty; default: 1")  # fmt: skip
    add("--threshold", type=float, default=float("nan"), metavar="LEVEL",
        help="of an analogue line; default: half-way")  # fmt: skip
    table = parser.add_argument_group("CSV files").add_argument
    table("--unit", choices=UNITS, default="s", help="of the times; default: s")
    table("--rate", type=float, default=0.0, metavar="HZ",
        help="the times count samples, at this rate")  # fmt: skip
    table("--both-edges", action="store_true",
        help="times are of rising and falling edges in turn (default: rising)")  # fmt: skip
    add_overwrite(parser)
    return parser


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Align the run with the recording."""
    asked = _parser().parse_args(argv)
    folder = open_run_folder(asked.run, print)
    into = aligned_folder(folder.path, asked.recording, asked.name)
    plots = [into / name for name in PLOTS]
    check_free(plots, asked.overwrite)
    options = RecorderOptions(
        asked.line, asked.unit, asked.rate, asked.both_edges, asked.threshold
    )
    _announce(f"reading {asked.recording.name}")
    recording = read_recording(asked.recording, asked.kind, options)
    _announce("matching the edges")
    aligned = align_run(folder, recording, asked.signal, asked.most_error_ms / 1e3)
    for sentence in sentences(write_aligned(aligned, into, asked.overwrite)):
        print(sentence)
    _announce("drawing the residuals")
    try:
        title = f"{folder.path.name} and {asked.recording.name}"
        figure = alignment_plot(aligned.clocks, title)
        for plot in plots:
            save_plot(figure, plot)
    except ImportError as error:
        print(f"no plot: {package_missing(error.name or str(error))}", file=sys.stderr)
    print(into)
    return 0


def _announce(what: str) -> None:
    """Show in the window what is being done."""
    if (bar := window_progress(what, 0)) is not None:
        bar.show(0)


if __name__ == "__main__":
    sys.exit(main())
