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

from deeplabstream.analysis.alignment_plot import alignment_plot
from deeplabstream.analysis.plot_style import save_plot
from deeplabstream.core.errors import package_missing
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
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
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import window_progress

RECORDERS = {
    "by its name": "",
    "Open Ephys (binary)": "open-ephys",
    "SpikeGLX": "spikeglx",
    "NWB": "nwb",
    "pyPhotometry": "pyphotometry",
    "Lab Streaming Layer (XDF)": "xdf",
    "table of edges (CSV)": "csv",
}
_TABLES = "CSV files"
"""Group of the options that say how a table of edges is read."""


@program_options
class AlignRecording:
    """A run, a recording of another program, and the line that both have seen."""

    run: Path = option(title="Run", positional=True, folders=True)
    """Run folder."""
    recording: Path = option(
        title="Recording",
        positional=True,
        folders=True,
        filter="Recordings (*.oebin *.bin *.meta *.nwb *.ppd *.xdf *.xdfz *.csv *.tsv "
        "*.txt);;All files (*)",
    )
    """File or folder of the other recorder."""
    line: str = option(default="", title="Sync line", metavar="NAME")
    """Line, channel, stream or column of the recording with the signal; default: the only
    one."""
    signal: str = option(default="", title="Signal of the run", metavar="NAME")
    """Input or output of the run; default: the sync signal of the board."""
    kind: str = option(
        default="", title="Recorder", choices=list(READERS), presets=RECORDERS
    )
    """Program that wrote the recording; default: by its name."""
    unit: str = option(
        default="s",
        title="Unit of the table",
        choices=list(UNITS),
        group=_TABLES,
        advanced=True,
    )
    """Unit of the times."""
    rate: float = option(
        default=0.0,
        ge=0,
        le=1e9,
        title="Samples per second",
        metavar="HZ",
        group=_TABLES,
        advanced=True,
        decimals=6,
        unit="Hz",
    )
    """The times count samples, at this rate; 0: they do not."""
    both_edges: bool = option(
        default=False, title="Both edges", group=_TABLES, advanced=True
    )
    """Times are of rising and falling edges in turn; default: rising."""
    threshold: float | None = option(
        default=None, title="Threshold", metavar="LEVEL", advanced=True
    )
    """Level of an analogue line above which it is high; default: half-way."""
    most_error_ms: float = option(
        default=1.0,
        ge=0,
        le=1000,
        title="Largest error",
        metavar="MS",
        advanced=True,
        decimals=3,
        unit="ms",
    )
    """Expected error in ms above which a cell stays empty."""
    name: str = option(default="", title="Name", advanced=True)
    """Name of the result; default: that of the recording."""
    overwrite: bool = overwrite()


def align_recording(options: AlignRecording) -> int:
    """Align the run with the recording, write the tables and draw the residuals."""
    folder = open_run_folder(options.run, print)
    result = aligned_folder(folder.path, options.recording, options.name)
    plots = [result / name for name in PLOTS]
    check_free(plots, options.overwrite)

    _announce(f"reading {options.recording.name}")
    level = float("nan") if options.threshold is None else options.threshold
    reading = RecorderOptions(
        options.line, options.unit, options.rate, options.both_edges, level
    )
    recording = read_recording(options.recording, options.kind, reading)

    _announce("matching the edges")
    aligned = align_run(folder, recording, options.signal, options.most_error_ms / 1e3)
    for sentence in sentences(write_aligned(aligned, result, options.overwrite)):
        print(sentence)

    _announce("drawing the residuals")
    try:
        title = f"{folder.path.name} and {options.recording.name}"
        figure = alignment_plot(aligned.clocks, title)
        for plot in plots:
            save_plot(figure, plot)
    except ImportError as error:
        print(f"no plot: {package_missing(error.name or str(error))}", file=sys.stderr)
    print(result)
    return 0


def _announce(step: str) -> None:
    """Show the current step in the window."""
    if (bar := window_progress(step, 0)) is not None:
        bar.show(0)


PROGRAM = Program(AlignRecording, align_recording, __doc__, "AlignRecording")
