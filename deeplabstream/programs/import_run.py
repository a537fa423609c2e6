r"""Make a run folder of a video and poses of another program, for results without a rig.

    python utils/ImportRun.py mouse.mp4 mouseDLC_resnet50.h5 --to output/m3 --animal M3
    python utils/ImportRun.py flies.mp4 flies.slp --to output/flies --mm-per-pixel 0.05
    python utils/ImportRun.py fast.avi fast.csv --to output/fast --fps 500 --group treated

POSES are the CSV or HDF5 of DeepLabCut or Lightning Pose, .analysis.h5 or .slp of SLEAP, .h5
of JABS, or a file that PredictVideos.py wrote. Row n is frame n of the video. The video is linked,
never encoded again; its own time stamps are the times, unless --fps or --times is given.
docs/results.md describes what can be done with the run.
"""

from pathlib import Path

from deeplabstream.offline import run_import
from deeplabstream.offline.run_import import ImportOptions
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options


@program_options
class ImportRun(ImportOptions):
    """A video, its poses, the run folder to make, and what the run says besides."""

    video_file: Path = option(positional=True, metavar="VIDEO")
    """Any video that FFmpeg reads."""
    poses: Path = option(positional=True, metavar="POSES")
    """Its poses."""
    to: Path = option(metavar="FOLDER")
    """The new run folder."""


def import_run(options: ImportRun) -> int:
    """Make the run folder."""
    run = run_import.import_run(options.video_file, options.poses, options.to, options)
    for note in run.notes:
        print(note)
    print(f"{run.frames} frames, run folder: {run.folder.path}")
    return 0


PROGRAM = Program(ImportRun, import_run, __doc__, "ImportRun")
