"""The command `deeplabstream`: all programs as sub-commands, grouped by task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from deeplabstream.files.paths import make_plugins_importable
from deeplabstream.startup.program import CANT, prepare

COMMAND = "deeplabstream"


class Main(Protocol):
    """Runs a program with the arguments of its command line; returns its exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run the program; without `argv`, with the arguments of this process."""


class Command(NamedTuple):
    """A sub-command: the module that has its `main`, and a line of help."""

    module: str
    help: str


TASKS = {
    "Run": {
        "run": Command("app", "the window; --headless: the same rig without one"),
        "camera": Command("DeepLabStream", "camera test, pose test, benchmark"),
        "rack": Command("utils.RunRack", "several rigs, each in processes of its own"),
        "page": Command("utils.ServePage", "a rack on a page in the browser"),
        "publish": Command("utils.PublishRack", "the states of a rack, by MQTT"),
        "alarm": Command("utils.SendAlarms", "a test of the alarms of a rack"),
        "service": Command(
            "utils.WriteService",
            "starts a rack or rig with the computer",
        ),
        "animals": Command(
            "utils.ListAnimals", "what each animal has reached; its weight"
        ),
        "new": Command("utils.NewRig", "make a rig folder"),
        "design": Command(
            "utils.DesignExperiment", "create an experiment file step by step"
        ),
        "import-settings": Command(
            "utils.ImportSettings", "settings of DeepLabStream 1"
        ),
    },
    "Train": {
        "pick-frames": Command("utils.PickFrames", "choose frames to label"),
        "check-labels": Command(
            "utils.CheckLabels", "suspicious labels; two persons' labels compared"
        ),
        "recommend": Command(
            "utils.RecommendSettings", "training settings for labelled data"
        ),
        "train": Command("utils.TrainNetwork", "train a network on labelled frames"),
        "distil": Command(
            "utils.DistillNetwork", "a fast network from a slow one and videos"
        ),
        "evaluate": Command("utils.EvaluateNetwork", "errors of a network on labels"),
        "import-model": Command("utils.ImportModel", "a network from another program"),
        "convert-project": Command(
            "utils.ConvertProject", "a DeepLabCut project or SLEAP package"
        ),
        "crop": Command("utils.CropFrames", "crop videos or labelled images"),
        "quantise": Command("utils.QuantiseNetwork", "eight-bit version of a network"),
        "train-classifier": Command(
            "utils.TrainClassifier", "train a classifier of behaviours"
        ),
        "convert-classifier": Command(
            "utils.ConvertClassifier", "a scikit-learn classifier from a pickle"
        ),
        "draw-labels": Command("utils.DrawLabels", "labelled frames, simulated"),
    },
    "Analyse": {
        "analyse-video": Command(
            "utils.VideoAnalyzer", "a video, or a recorded run, through the experiment"
        ),
        "analyse": Command("utils.AnalyseRuns", "measures of recorded runs as a table"),
        "import-run": Command(
            "utils.ImportRun", "a run from a video and poses of another program"
        ),
        "correct": Command("utils.CorrectPoses", "wrong poses of a recorded run"),
        "compare": Command("utils.CompareGroups", "statistics of groups of animals"),
        "predict": Command("utils.PredictVideos", "poses of whole videos"),
        "predict-frames": Command("utils.PredictFrames", "poses of single images"),
        "smooth": Command("utils.SmoothEnsemble", "smooth the poses of an ensemble"),
        "render": Command("utils.RenderVideo", "labelled videos"),
        "export": Command("utils.ExportRun", "a run as NWB, HDF5, Parquet, …"),
        "print-board": Command(
            "utils.PrintBoard", "a board to calibrate cameras with, to print"
        ),
        "print-markers": Command(
            "utils.PrintMarkers", "markers of a plate with arenas, to print"
        ),
        "calibrate-cameras": Command(
            "utils.CalibrateCameras", "several cameras, from videos of a board"
        ),
        "triangulate": Command(
            "utils.TriangulatePoses", "points in space from several cameras"
        ),
        "convert-calibration": Command(
            "utils.ConvertCalibration", "calibrated cameras, for another program"
        ),
        "align": Command(
            "utils.AlignRecording", "a run on the clock of an ephys or other recording"
        ),
        "motion-energy": Command("utils.MotionEnergy", "motion energy of regions"),
        "process-sessions": Command("utils.ProcessSessions", "the pipeline of the IBL"),
        "plot-session": Command("utils.PlotSession", "trial averages of a session"),
        "learn-tracking": Command(
            "utils.LearnTracking", "[Tracking] limits, measured on a run"
        ),
        "learn-appearance": Command(
            "utils.LearnAppearance", "how well animals are recognised by appearance"
        ),
    },
    "Prove": {
        "doctor": Command("utils.Doctor", "what is wrong with this computer"),
        "check": Command("utils.CheckSettings", "everything wrong with the settings"),
        "rehearse": Command(
            "utils.RehearseExperiment", "an experiment on a simulated animal"
        ),
        "audit": Command(
            "utils.AuditRun", "how often the triggers of a run were right"
        ),
        "verify": Command("utils.VerifyBundle", "what an evidence bundle proves"),
        "pulses": Command(
            "utils.MatchPulses",
            "frames of a run against the exposure pulses of a board",
        ),
        "test-output": Command("utils.TestOutput", "one short pulse on an output"),
        "test-board": Command("utils.TestBoard", "the watchdog of a board"),
        "measure-latency": Command(
            "utils.MeasureLatency", "from exposure to output, by a board's clock"
        ),
        "benchmark": Command("utils.BenchmarkModel", "speed of a network per runtime"),
        "check-network": Command(
            "utils.CheckNetwork", "a network against points in a video"
        ),
        "check-animals": Command(
            "utils.CheckAnimals", "a network on several simulated animals"
        ),
        "evaluate-tracking": Command(
            "utils.EvaluateTracking", "identities of tracked animals against true ones"
        ),
    },
    "Maintain": {
        "uptime": Command("utils.Uptime", "time, exposures, gaps and restarts of runs"),
        "prune-videos": Command(
            "utils.PruneVideos", "delete old videos of runs, by rules"
        ),
        "repair": Command("utils.RepairRun", "a run that was killed"),
        "collect": Command("utils.CollectRuns", "finished runs to another place"),
        "environment": Command(
            "utils.Launch", "`make run`, `make test`, `make update` of a checkout"
        ),
        "screenshots": Command("utils.TakeScreenshots", "images of the documentation"),
    },
}
"""All sub-commands by task; each runs the program of the same name in `utils/`."""
COMMANDS = {name: command for task in TASKS.values() for name, command in task.items()}


WITHOUT_PACKAGES = {
    "deeplabstream.programs.doctor": "deeplabstream.programs.plain_doctor"
}
"""Programs that run without optional packages, with the module whose `main` is used
then."""


def main_of(module: str) -> Main:
    """Return the `main` of the program that a module defines as PROGRAM.

    The module is imported when `main` is called: missing packages are reported then.
    """
    prepare()

    def main(argv: Sequence[str] | None = None) -> int:
        try:
            program = cast("Any", import_module(module)).PROGRAM
        except ModuleNotFoundError:
            if module not in WITHOUT_PACKAGES:
                raise
            program = import_module(WITHOUT_PACKAGES[module])
        return int(program.main(argv))

    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that the first argument names; return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0 if arguments else CANT
    name, *rest = arguments
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        sys.stderr.write(
            f"{COMMAND}: there is no sub-command {name}{hint}\n"
            f"`{COMMAND} --help` lists all\n"
        )
        return CANT
    prepare()
    make_plugins_importable(first=True)
    sys.argv = [f"{COMMAND} {name}", *rest]
    module = cast("Any", import_module(COMMANDS[name].module))
    return int(module.main(rest))


def _overview() -> str:
    lines = [
        f"usage: {COMMAND} COMMAND [options]",
        "",
        "Closed-loop experiments on animal posture in real time.",
    ]
    for task, commands in TASKS.items():
        lines += ["", f"{task}:"]
        lines += [f"  {name:<19} {command.help}" for name, command in commands.items()]
    lines += [
        "",
        f"`{COMMAND} COMMAND --help` lists the options of a command. A command started in a",
        "folder with a settings.ini uses that rig; --rig FOLDER names another one.",
    ]
    return "\n".join(lines)
