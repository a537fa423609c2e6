"""Programs that the window starts: fields, results and messages of each, as plain values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from deeplabstream.files.overwriting import free_path
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.recording.alignment.aligned_run import PLOTS, aligned_folder
from deeplabstream.recording.alignment.recordings import UNITS

Kind: TypeAlias = Literal[
    "model", "ensemble", "path", "paths", "folder", "save", "name", "choice", "several",
    "number", "words", "text", "flag", "device",
]  # fmt: skip
"""What edits a field.

model, ensemble: a network of the lab, or several trained with different seeds. path, paths:
existing files or folders. folder: one to write into. save: a file to write. name: a new
folder in `models/`. several: some of the choices. words: separated by spaces. device: CPU
or one of the GPUs on which torch can train.
"""
Values: TypeAlias = Mapping[str, Sequence[str]]
"""Words of each field, by `Field.key`."""
VIDEO_ENDINGS = "*.mp4 *.avi *.mov *.mkv *.m4v *.mpg *.mpeg *.wmv *.webm"
_VIDEOS = f"Videos ({VIDEO_ENDINGS});;All files (*)"
_TABLES = "Poses (*.csv *.h5 *.parquet *.pqt);;All files (*)"
_TABLE_ENDINGS = (".csv", ".h5", ".parquet")


@dataclass(frozen=True)
class Field:
    """An option of a program, and how a person fills it in."""

    option: str
    """`--steps`; empty: words without an option before them."""
    label: str
    hint: str
    kind: Kind
    required: bool = False
    advanced: bool = False
    """Folded at first."""
    default: str = ""
    """The word that the program uses where the option is left out."""
    initial: str = ""
    """What is shown first, of a number that the program has no default for."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Words for the program, by what is shown."""
    lowest: float = 0
    highest: float = 100_000
    decimals: int = 0
    scale: float = 1
    """A number is shown multiplied by this."""
    unit: str = ""
    empty: str = "none"
    """What is shown where no network is chosen."""
    filter: str = ""
    """Kinds of files to choose from, as Qt writes them."""
    folders: bool = False
    """Whether a folder can be chosen in place of a file."""

    @property
    def key(self) -> str:
        """Its name among the fields of a program."""
        return self.option or self.label

    def arguments(self, words: Sequence[str]) -> list[str]:
        """Return what the command line contains for these words."""
        if not words or list(words) == self.default.split():
            return []
        if self.kind == "flag":
            return [self.option]
        return [self.option, *words] if self.option else [*words]


@dataclass(frozen=True)
class Program:
    """A program under `utils/` that the window can start."""

    title: str
    file: str
    button: str
    about: str
    fields: tuple[Field, ...]
    outcomes: Mapping[int, str] = field(default_factory=dict)
    """Sentences for exit codes."""
    resumes: bool = False
    """Whether the same command continues what was stopped."""
    resume: str = ""
    """The option that continues what was stopped, where one is needed."""
    opens: str = ""
    """Key of the field with the file that is shown at the end."""
    writes: str = ""
    """Key of the field that decides the folder of the results."""
    plot: Callable[[Values], Path | None] = lambda _: None
    """Returns the image that is shown at the end, in the folder of the results."""
    propose: Callable[[Values, Path], Mapping[str, Sequence[str]]] = lambda *_: {}
    """Proposes words for fields that the user left alone; gets `models/` of the rig."""
    switches_outputs: bool = False
    """Whether it switches outputs of the rig: STOP ends it."""
    consequence: Callable[[Values], str] = lambda _: ""
    """Returns what happens once it is started, shown beside the button; empty: nothing."""

    def arguments(self, values: Values) -> list[str]:
        """Return the command line: words without an option first, then the options."""
        ordered = sorted(self.fields, key=lambda each: bool(each.option))
        return [w for each in ordered for w in each.arguments(values.get(each.key, ()))]

    def missing(self, values: Values) -> str:
        """Return a sentence about a field that has to be filled in; empty: none."""
        for each in self.fields:
            if each.required and not values.get(each.key):
                ticked = each.kind == "flag"
                wanted = "not confirmed yet" if ticked else "nothing chosen yet"
                return f"{each.label}: {wanted}"
        return ""

    def results(self, values: Values) -> Path | None:
        """Return the folder that the results go to."""
        if plot := self.plot(values):
            return plot.parent
        words = values.get(self.writes) or self._input(values)
        if not words:
            return None
        path = Path(words[0])
        return path if path.is_dir() else path.parent

    def _input(self, values: Values) -> Sequence[str]:
        found = (values.get(each.key) for each in self.fields if each.required)
        return next((words for words in found if words), ())


def _model(hint: str, kind: Kind = "model") -> Field:
    return Field("--model", "Network", hint, kind, required=True)


def _runtime(option: str) -> Field:
    shown = {"automatic": "auto"} | {str(name): str(name) for name in RUNTIMES}
    hint = "automatic: the fastest that gives the same points"
    return Field(
        option, "Runtime", hint, "choice", advanced=True, default="auto", choices=shown
    )


_THREADS = Field(
    "--threads", "CPU threads", "0: all cores", "number", advanced=True, default="0",
    highest=256,
)  # fmt: skip
_DEVICE = Field(
    "--device", "Device", "what the network is trained on", "device", advanced=True,
    default="cpu", choices={"CPU": "cpu"},
)  # fmt: skip
_OUTPUT = Field("--output", "Output folder", "empty: beside each video", "folder")
_SUFFIXES = Field(
    "--mirrored", "Mirrored views",
    "suffixes of body part names by view, for example _top _bot", "words", advanced=True,
)  # fmt: skip


def _name_of_import(values: Values, models: Path) -> Mapping[str, Sequence[str]]:
    words = values.get("Network", ())
    if not words:
        return {}
    source = Path(words[0])
    name = source.stem if source.suffix.lower() == ".onnx" else source.name
    beside = (source.with_suffix(".json"), source.with_name("network.json"))
    found = [str(file) for file in beside if source.is_file() and file.is_file()]
    free = free_path(models / (name or "network"))
    return {"--output": [str(free)], "--description": found[:1]}


IMPORT = Program(
    "Import a network",
    "ImportModel.py",
    "Import",
    "A network of DeepLabCut, SLEAP-NN or Lightning Pose, or any ONNX network. Its points "
    "are compared with those of the original program where it exported some.",
    (
        Field(
            "", "Network", "folder of the network, or .onnx file", "path", required=True,
            filter="Networks (*.onnx);;All files (*)", folders=True,
        ),
        Field("--output", "Name", "new folder in models/", "name", required=True),
        Field(
            "--description", "Description",
            "only for an .onnx file: .json file that describes its inputs and outputs",
            "path", filter="Descriptions (*.json)",
        ),
        Field(
            "--licence", "Licence", "licence of the network, kept in model.json", "text"
        ),
        Field(
            "--size", "Frame size", "only for SLEAP-NN: WIDTHxHEIGHT of your frames",
            "text", advanced=True,
        ),
        Field(
            "--animals", "Animals", "only for SLEAP-NN: most animals in a frame; 0: as "
            "exported", "number", advanced=True, default="0", highest=100,
        ),
        Field(
            "--tolerance", "Tolerance",
            "largest distance to the original's points, in px of the input; 0: usual",
            "number", advanced=True, default="0", highest=100, decimals=1, unit="px",
        ),
    ),
    writes="--output",
    propose=_name_of_import,
)  # fmt: skip

PREDICT = Program(
    "Predict poses",
    "PredictVideos.py",
    "Predict",
    "Poses of whole videos, one row per frame. Finished videos are skipped.",
    (
        Field(
            "", "Videos", "drop videos or folders of videos here", "paths",
            required=True, filter=_VIDEOS, folders=True,
        ),
        _model("one, or an ensemble (trained with several seeds)", "ensemble"),
        Field(
            "--to", "Formats", "csv, h5: as DeepLabCut; slp: as SLEAP; nwb: ndx-pose",
            "several", default="csv",
            choices={k: k for k in ("csv", "h5", "parquet", "analysis.h5", "slp", "nwb")},
        ),
        _OUTPUT,
        Field(
            "--overwrite", "Predict again", "replace the poses of finished videos",
            "flag", advanced=True,
        ),
        Field(
            "--animals", "Animals", "names, for a network of several animals", "words",
            advanced=True,
        ),
        Field(
            "--labels", "Labels", "CollectedData.csv: adds PCA errors", "path",
            advanced=True, filter="Labels (*.csv)",
        ),
        _SUFFIXES,
        Field(
            "--batch", "Batch", "frames at once; 0: 1, on a GPU 8", "number",
            advanced=True, default="0", highest=256,
        ),
        _runtime("--runtime"),
        _THREADS,
    ),
    outcomes={1: "Some videos could not be predicted: see the list above."},
    resumes=True,
    writes="--output",
)  # fmt: skip


def _poses_beside(values: Values, _models: Path) -> Mapping[str, Sequence[str]]:
    """Propose the poses that were predicted beside a video."""
    words = values.get("Video", ())
    files = (Path(words[0]).with_suffix(end) for end in _TABLE_ENDINGS) if words else ()
    found = [str(file) for file in files if file.is_file()]
    return {"--poses": found[:1]} if words else {}


RENDER = Program(
    "Labelled video",
    "RenderVideo.py",
    "Render",
    "A video with points, edges and trails of one table of poses, or of several.",
    (
        Field("", "Video", "drop a video here", "path", required=True, filter=_VIDEOS),
        Field(
            "--poses", "Poses", "tables of poses: .csv, .h5 or .parquet", "paths",
            required=True, filter=_TABLES,
        ),
        Field("--model", "Network", "edges and threshold of this network", "model"),
        Field(
            "--trail", "Trail", "frames that each point's trail shows", "number",
            default="0", highest=1000, unit="frames",
        ),
        Field("--names", "Names", "write the names of the body parts", "flag"),
        _OUTPUT,
        Field(
            "--radius", "Point radius", "radius of a point", "number", advanced=True,
            default="4", lowest=1, highest=50, unit="px",
        ),
        Field(
            "--codec", "Codec", "codec of the written video", "choice", advanced=True,
            default="h264", choices={
                "H.264": "h264", "HEVC": "hevc", "MPEG-4": "mpeg4", "MJPEG": "mjpeg",
                "VP9": "vp9", "FFV1 (lossless)": "ffv1",
            },
        ),
        Field(
            "--ending", "Container", "kind of file", "choice", advanced=True,
            default=".mp4", choices={k: k for k in (".mp4", ".mkv", ".avi", ".mov")},
        ),
        Field("--no-edges", "No edges", "points only", "flag", advanced=True),
        Field("--no-text", "No text", "no frame number and time", "flag", advanced=True),
    ),
    writes="--output",
    propose=_poses_beside,
)  # fmt: skip

SMOOTH = Program(
    "Smooth an ensemble",
    "SmoothEnsemble.py",
    "Smooth",
    "Ensemble Kalman smoothing: predicts with each network, and gives neighbouring frames "
    "more weight where the networks disagree.",
    (
        Field(
            "", "Videos", "drop videos or folders of videos here", "paths",
            required=True, filter=_VIDEOS, folders=True,
        ),
        _model("an ensemble (trained with several seeds)", "ensemble"),
        _SUFFIXES,
        _OUTPUT,
        Field(
            "--s", "Smoothing", "smaller is smoother; 0: maximum likelihood", "number",
            advanced=True, default="0", decimals=2,
        ),
        Field(
            "--views", "Several cameras", "all videos show the same moments", "flag",
            advanced=True,
        ),
        Field(
            "--pupil", "Pupil", "pupil_top, _bottom, _right, _left move as a circle",
            "flag", advanced=True,
        ),
        _runtime("--runtime"),
        _THREADS,
    ),
    resumes=True,
    writes="--output",
)  # fmt: skip


def _page_of_report(values: Values, _models: Path) -> Mapping[str, Sequence[str]]:
    words = values.get("--model", ())
    return {"--report": [str(Path(words[0]) / "report.html")]} if words else {}


REPORT = Program(
    "HTML report",
    "EvaluateNetwork.py",
    "Make report",
    "Errors per body part, with plots and all images; tables beside it.",
    (
        _model("one, or an ensemble (trained with several seeds)", "ensemble"),
        Field(
            "--report", "Report", "HTML file to write", "save", required=True,
            filter="Reports (*.html)",
        ),
        Field(
            "--data", "Labels", "labelled frames; empty: those of its training", "paths",
            filter="Labels (*.csv *.h5 *.slp);;All files (*)", folders=True,
        ),
        Field(
            "--poses", "Poses", "predicted videos: adds their jumps and PCA errors",
            "paths", advanced=True, filter=_TABLES,
        ),
        Field(
            "--within", "Correct within", "distance up to which a point is correct",
            "number", advanced=True, default="5", lowest=0.1, highest=1000, decimals=1,
            unit="px",
        ),
        _runtime("--device"),
        _THREADS,
    ),
    opens="--report",
    writes="--report",
    propose=_page_of_report,
)  # fmt: skip

BENCHMARK = Program(
    "Measure runtimes",
    "BenchmarkModel.py",
    "Measure",
    "Time per frame and changed points in each runtime of this computer. The fastest "
    "accepted one is remembered and used from then on.",
    (
        _model("the one to measure"),
        Field(
            "--seconds", "Duration", "of each measurement", "number", default="3",
            lowest=0.2, highest=600, decimals=1, unit="s",
        ),
        _THREADS,
    ),
)  # fmt: skip

QUANTISE = Program(
    "Eight bits",
    "QuantiseNetwork.py",
    "Quantise",
    "A version of the network in 8 bits for the CPU, compared on frames of your video. It "
    "is written only if its points change little.",
    (
        _model("the one to quantise"),
        Field(
            "--video", "Video", "video like those of the rig; empty: images of the "
            "network's folder", "path", filter=_VIDEOS,
        ),
        Field(
            "--count", "Frames", "most frames of the video", "number", default="100",
            lowest=8, highest=10_000, advanced=True,
        ),
        Field(
            "--tolerance", "Tolerance",
            "largest difference of 95 % of the points, in px of the input", "number",
            advanced=True, default="1", highest=100, decimals=2, unit="px",
        ),
    ),
)  # fmt: skip

TRAIN = Program(
    "Train",
    "TrainNetwork.py",
    "Train",
    "",
    (
        Field(
            "--start-from", "Start from",
            "a network whose weights are taken over, also an imported one", "model",
            empty="ImageNet weights",
        ),
        _DEVICE,
        Field(
            "--backbone", "Backbone",
            "the network that finds features; docs/training_reference.md compares them", "choice",
            advanced=True,
            choices={
                "automatic": "",
                **{
                    name: name
                    for name in (
                        "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2",
                        "resnet18", "resnet50", "vit_tiny", "unet",
                    )
                },
            },
        ),
        Field(
            "--batch", "Batch", "frames per step; 0: as many as the memory holds",
            "number", advanced=True, default="8", highest=512, unit="frames",
        ),
        Field(
            "--seeds", "Networks",
            "several, trained with different seeds, are an ensemble: more precise, slower",
            "choice", advanced=True,
            choices={
                "1": "", **{
                    f"{count} (ensemble)": ",".join(map(str, range(count)))
                    for count in (2, 3, 4, 5)
                },
            },
        ),
        Field(
            "--held-out", "Held out", "share of the frames that measures the error",
            "number", advanced=True, default="0.15", highest=0.9, scale=100, unit="%",
        ),
        Field(
            "--cropzoom", "Cropzoom", "also train a network for the enlarged animal",
            "flag", advanced=True,
        ),
    ),
)  # fmt: skip


def _name_of_student(values: Values, models: Path) -> Mapping[str, Sequence[str]]:
    words = values.get("--teacher", ())
    if not words:
        return {}
    return {"--output": [str(free_path(models / f"{Path(words[0]).name}_fast"))]}


DISTIL = Program(
    "Distil",
    "DistillNetwork.py",
    "Distil",
    "A fast network learns from a slow one, on videos of the rig without labels. The first "
    "that is near enough and fast enough on this computer is kept.",
    (
        Field(
            "--teacher", "Teacher", "slow network or ensemble, also an imported one",
            "ensemble", required=True,
        ),
        Field(
            "--videos", "Videos", "drop videos of the rig, or folders of them, here",
            "paths", required=True, filter=_VIDEOS, folders=True,
        ),
        Field("--output", "Name", "new folder in models/", "name", required=True),
        Field(
            "--within", "Within", "largest median distance to the teacher", "number",
            required=True, initial="2", lowest=0.1, highest=1000, decimals=1, unit="px",
        ),
        Field(
            "--at-most-ms", "At most", "longest time from frame to pose", "number",
            required=True, initial="8", lowest=0.1, highest=10_000, decimals=1,
            unit="ms",
        ),
        Field(
            "--labels", "Labels", "labels made by hand, to learn from too", "path",
            filter="Labels (*.csv *.slp);;All files (*)", folders=True,
        ),
        _DEVICE,
        Field(
            "--start-from", "Start from",
            "a network whose backbone and weights the students have, also the teacher",
            "model", advanced=True, empty="ImageNet weights",
        ),
        Field(
            "--students", "Students", "sizes or backbones in the order to try, for example "
            "efficientnet_lite0:4:160x128; with Start from sizes alone", "words",
            advanced=True,
        ),
        Field(
            "--count", "Frames", "frames that the teacher labels", "number",
            advanced=True, default="300", lowest=10,
        ),
        Field(
            "--agree", "Agreement", "largest spread of the teacher's opinions on a point",
            "number", advanced=True, default="5", lowest=0.1, highest=1000, decimals=1,
            unit="px",
        ),
        Field(
            "--steps", "Training steps", "batches that a student learns from", "number",
            advanced=True, default="1500", lowest=10,
        ),
        Field(
            "--batch", "Batch", "frames per step", "number", advanced=True, default="8",
            lowest=1, highest=512, unit="frames",
        ),
        Field(
            "--threads", "CPU threads", "of the student on the rig; 0: all cores",
            "number", advanced=True, default="1", highest=256,
        ),
        Field(
            "--check", "Check", "points placed by hand in frames of the videos, to measure",
            "path", advanced=True, filter="Labels (*.csv)",
        ),
        Field(
            "--licence", "Licence", "licence of the network, kept in model.json", "text",
            advanced=True,
        ),
    ),
    outcomes={1: "No student meets both limits: see the table above."},
    resume="--resume",
    writes="--output",
    propose=_name_of_student,
)  # fmt: skip


def _residual_plot(values: Values) -> Path | None:
    run, recording = values.get("Run"), values.get("Recording")
    if not run or not recording:
        return None
    name = "".join(values.get("--name", ()))
    return aligned_folder(Path(run[0]), Path(recording[0]), name) / PLOTS[-1]


def _switched_output(values: Values) -> str:
    if words := values.get("--output"):
        return f"Will switch [Output {words[0]}] on with every flash."
    if values.get("--screen"):
        return "No output: this measures half the loop."
    return "Will switch the only output of the settings on with every flash."


MEASURE_LATENCY = Program(
    "Measure latency",
    "MeasureLatency.py",
    "Measure",
    "From the camera's exposure to the output: a board with our firmware lights an LED in "
    "the camera's view and reads the output back. Without an LED, a patch on a screen "
    "flashes; without an output, that measures half the loop and needs no board. It uses "
    "the saved settings and takes about 3 minutes. docs/latency_test.md describes the wiring.",
    (
        Field(
            "--yes", "The animal is out and the output is harmless",
            "the output is switched on with every flash", "flag", required=True,
        ),
        Field(
            "--output", "Output", "output that is measured; with a screen, empty: half the "
            "loop, no output is switched", "text",
        ),
        Field("--port", "Port", "serial port of the board", "text"),
        Field(
            "--screen", "Screen", "number of the monitor with a patch that flashes in place "
            "of the LED, from 0; empty: the LED flashes", "text",
        ),
        Field(
            "--photodiode-pin", "Pin of a photodiode", "input of the board that sees the "
            "patch; 0: none", "number", default="0", highest=127,
        ),
        Field(
            "--led-pin", "Pin of the LED", "of the board", "number", default="13",
            lowest=2, highest=127,
        ),
        Field(
            "--answer-pin", "Pin of the answer", "input to which the output is wired",
            "number", default="2", lowest=2, highest=127,
        ),
        Field(
            "--active-low", "Active low", "the output's line is low while it is on", "flag"
        ),
        Field(
            "--full-screen", "Full screen", "the patch covers the monitor", "flag",
            advanced=True,
        ),
        Field(
            "--flashes", "Flashes", "that count", "number", default="200", lowest=20,
            highest=10_000,
        ),
        Field(
            "--every", "Interval", "mean, of the flashes; the delay must be less than half "
            "of it", "number", advanced=True, default="0.6", lowest=0.2, highest=10,
            decimals=1, unit="s",
        ),
        Field(
            "--no-network", "Without the network", "the LED detector alone", "flag",
            advanced=True,
        ),
        Field(
            "--settings", "Settings", "of the rig", "path", advanced=True,
            filter="Settings (*.ini)",
        ),
    ),
    switches_outputs=True,
    consequence=_switched_output,
)  # fmt: skip


ALIGN = Program(
    "Align with a recording",
    "AlignRecording.py",
    "Align",
    "Times of the run on the clock of another recorder, from a line that both have seen. "
    "The run is not changed. docs/alignment.md describes it.",
    (
        Field("", "Run", "folder of the run", "path", required=True, folders=True),
        Field(
            "", "Recording", "file or folder of the other recorder", "path",
            required=True, folders=True, filter="Recordings (*.oebin *.bin *.meta *.nwb "
            "*.ppd *.xdf *.xdfz *.csv *.tsv *.txt);;All files (*)",
        ),
        Field(
            "--line", "Sync line",
            "line, channel, stream or column of the recording with the signal; empty: the "
            "only one", "text",
        ),
        Field(
            "--signal", "Signal of the run",
            "input or output; empty: the sync signal of the board", "text",
        ),
        Field(
            "--kind", "Recorder", "what wrote the recording", "choice",
            choices={
                "by its name": "", "Open Ephys (binary)": "open-ephys",
                "SpikeGLX": "spikeglx", "NWB": "nwb", "pyPhotometry": "pyphotometry",
                "Lab Streaming Layer (XDF)": "xdf", "table of edges (CSV)": "csv",
            },
        ),
        Field(
            "--unit", "Unit of the table", "of times in a CSV", "choice", default="s",
            choices={name: name for name in UNITS}, advanced=True,
        ),
        Field(
            "--rate", "Samples per second", "if times in a CSV count samples; 0: they do "
            "not", "number", advanced=True, default="0", highest=1e9, decimals=6,
            unit="Hz",
        ),
        Field(
            "--both-edges", "Both edges",
            "times in a CSV without levels are of rising and falling edges in turn",
            "flag", advanced=True,
        ),
        Field(
            "--threshold", "Threshold", "of an analogue line; empty: half-way", "text",
            advanced=True,
        ),
        Field(
            "--most-error-ms", "Largest error",
            "expected error above which a cell stays empty", "number", advanced=True,
            default="1", highest=1000, decimals=3, unit="ms",
        ),
        Field(
            "--name", "Name", "of the result; empty: that of the recording", "text",
            advanced=True,
        ),
    ),
    plot=_residual_plot,
)  # fmt: skip

PREDICTING = (PREDICT, RENDER, SMOOTH)
FASTER = (DISTIL, BENCHMARK, QUANTISE)
