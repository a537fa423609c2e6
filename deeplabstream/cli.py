"""The command `deeplabstream`: all programs as sub-commands, grouped by task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, cast

from deeplabstream.files.paths import make_plugins_importable
from deeplabstream.startup.program import CANT, prepare

COMMAND = "deeplabstream"


class Program(NamedTuple):
    """A sub-command: the module that has its `main`, and a line of help."""

    module: str
    help: str


TASKS = {
    "Run": {
        "run": Program("app", "the window; --headless: the same rig without one"),
        "camera": Program("DeepLabStream", "camera test, pose test, benchmark"),
        "new": Program("utils.NewRig", "make a rig folder"),
        "design": Program(
            "utils.DesignExperiment", "create an experiment file step by step"
        ),
        "import-settings": Program(
            "utils.ImportSettings", "settings of DeepLabStream 1"
        ),
    },
    "Train": {
        "pick-frames": Program("utils.PickFrames", "choose frames to label"),
        "check-labels": Program(
            "utils.CheckLabels", "suspicious labels; two persons' labels compared"
        ),
        "recommend": Program(
            "utils.RecommendSettings", "training settings for labelled data"
        ),
        "train": Program("utils.TrainNetwork", "train a network on labelled frames"),
        "distil": Program(
            "utils.DistillNetwork", "a fast network from a slow one and videos"
        ),
        "evaluate": Program("utils.EvaluateNetwork", "errors of a network on labels"),
        "import-model": Program("utils.ImportModel", "a network from another program"),
        "convert-project": Program(
            "utils.ConvertProject", "a DeepLabCut project or SLEAP package"
        ),
        "crop": Program("utils.CropFrames", "crop videos or labelled images"),
        "quantise": Program("utils.QuantiseNetwork", "eight-bit version of a network"),
        "train-classifier": Program(
            "utils.TrainClassifier", "train a classifier of behaviours"
        ),
        "convert-classifier": Program(
            "utils.ConvertClassifier", "a scikit-learn classifier from a pickle"
        ),
        "draw-labels": Program("utils.DrawLabels", "labelled frames, simulated"),
    },
    "Analyse": {
        "analyse-video": Program(
            "utils.VideoAnalyzer", "a video, or a recorded run, through the experiment"
        ),
        "analyse": Program("utils.AnalyseRuns", "measures of recorded runs as a table"),
        "import-run": Program(
            "utils.ImportRun", "a run from a video and poses of another program"
        ),
        "correct": Program("utils.CorrectPoses", "wrong poses of a recorded run"),
        "compare": Program("utils.CompareGroups", "statistics of groups of animals"),
        "predict": Program("utils.PredictVideos", "poses of whole videos"),
        "predict-frames": Program("utils.PredictFrames", "poses of single images"),
        "smooth": Program("utils.SmoothEnsemble", "smooth the poses of an ensemble"),
        "render": Program("utils.RenderVideo", "labelled videos"),
        "export": Program("utils.ExportRun", "a run as NWB, HDF5, Parquet, …"),
        "align": Program(
            "utils.AlignRecording", "a run on the clock of an ephys or other recording"
        ),
        "motion-energy": Program("utils.MotionEnergy", "motion energy of regions"),
        "process-sessions": Program("utils.ProcessSessions", "the pipeline of the IBL"),
        "plot-session": Program("utils.PlotSession", "trial averages of a session"),
        "learn-tracking": Program(
            "utils.LearnTracking", "[Tracking] limits, measured on a run"
        ),
    },
    "Prove": {
        "doctor": Program("utils.Doctor", "what is wrong with this computer"),
        "check": Program("utils.CheckSettings", "everything wrong with the settings"),
        "rehearse": Program(
            "utils.RehearseExperiment", "an experiment on a simulated animal"
        ),
        "verify": Program("utils.VerifyBundle", "what an evidence bundle proves"),
        "pulses": Program(
            "utils.MatchPulses",
            "frames of a run against the exposure pulses of a board",
        ),
        "test-output": Program("utils.TestOutput", "one short pulse on an output"),
        "test-board": Program("utils.TestBoard", "the watchdog of a board"),
        "measure-latency": Program(
            "utils.MeasureLatency", "from exposure to output, by a board's clock"
        ),
        "benchmark": Program("utils.BenchmarkModel", "speed of a network per runtime"),
        "check-network": Program(
            "utils.CheckNetwork", "a network against points in a video"
        ),
        "check-animals": Program(
            "utils.CheckAnimals", "a network on several simulated animals"
        ),
    },
    "Maintain": {
        "repair": Program("utils.RepairRun", "a run that was killed"),
        "environment": Program(
            "utils.Launch", "`make run`, `make test`, `make update` of a checkout"
        ),
        "screenshots": Program("utils.TakeScreenshots", "images of the documentation"),
    },
}
"""All sub-commands by task; each is the same code as the program in `utils/`."""
PROGRAMS = {name: program for task in TASKS.values() for name, program in task.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that the first word names; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else CANT
    name, *rest = words
    if name not in PROGRAMS:
        from difflib import get_close_matches

        near = get_close_matches(name, PROGRAMS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        sys.stderr.write(
            f"{COMMAND}: there is no sub-command {name}{hint}\n"
            f"`{COMMAND} --help` lists all\n"
        )
        return CANT
    prepare()
    make_plugins_importable(first=True)
    sys.argv = [f"{COMMAND} {name}", *rest]
    module = cast("Any", import_module(PROGRAMS[name].module))
    return int(module.main(rest))


def _overview() -> str:
    lines = [
        f"usage: {COMMAND} COMMAND [options]",
        "",
        "Closed-loop experiments on animal posture in real time.",
    ]
    for task, programs in TASKS.items():
        lines += ["", f"{task}:"]
        lines += [f"  {name:<19} {each.help}" for name, each in programs.items()]
    lines += [
        "",
        f"`{COMMAND} COMMAND --help` lists the options of a command. A command started in a",
        "folder with a settings.ini uses that rig; --rig FOLDER names another one.",
    ]
    return "\n".join(lines)
