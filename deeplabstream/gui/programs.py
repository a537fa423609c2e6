"""Programs that the window starts: form, results and messages of each, as plain values."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from deeplabstream.files.overwriting import free_path
from deeplabstream.gui.form_fields import FormField, form_fields
from deeplabstream.programs.align_recording import AlignRecording
from deeplabstream.programs.benchmark_model import BenchmarkModel
from deeplabstream.programs.calibrate_cameras import CalibrateCameras
from deeplabstream.programs.distill_network import DistillNetwork
from deeplabstream.programs.evaluate_network import EvaluateNetwork
from deeplabstream.programs.import_model import ImportModel
from deeplabstream.programs.predict_videos import PredictVideos
from deeplabstream.programs.print_board import PrintBoard
from deeplabstream.programs.print_markers import PrintMarkers
from deeplabstream.programs.quantise_network import QuantiseNetwork
from deeplabstream.programs.render_video import RenderVideo
from deeplabstream.programs.smooth_ensemble import SmoothEnsemble
from deeplabstream.recording.alignment.aligned_run import PLOTS, aligned_folder
from deeplabstream.training.train_config import TrainConfig

Values: TypeAlias = Mapping[str, Sequence[str]]
"""Arguments of each field, by `FormField.key`."""
_TABLE_ENDINGS = (".csv", ".h5", ".parquet")


@dataclass(frozen=True)
class ProgramForm:
    """A program under `utils/` that the window can start."""

    title: str
    file: str
    button: str
    about: str
    fields: tuple[FormField, ...]
    outcomes: Mapping[int, str] = field(default_factory=dict)
    """Sentences for exit codes."""
    resumes: bool = False
    """Whether the same command resumes a stopped run."""
    resume: str = ""
    """Option that resumes a stopped run; empty: none is needed."""
    opens: str = ""
    """Key of the field with the file that is shown at the end."""
    writes: str = ""
    """Key of the field that decides the folder of the results."""
    plot: Callable[[Values], Path | None] = lambda _: None
    """Returns the image that is shown at the end, in the folder of the results."""
    propose: Callable[[Values, Path], Mapping[str, Sequence[str]]] = lambda *_: {}
    """Proposes arguments for fields that the user did not change; gets `models/` of the rig."""
    switches_outputs: bool = False
    """Whether it switches outputs of the rig: STOP ends it."""
    consequence: Callable[[Values], str] = lambda _: ""
    """Returns what happens once it is started, shown beside the button; empty: nothing."""
    unused: Callable[[Values], Collection[str]] = lambda _: ()
    """Returns the keys of the fields that have no effect with these values."""
    check: Callable[[Values], str] = lambda _: ""
    """Returns why it can't be started with these values; empty: it can."""
    result: Callable[[str], str] = lambda _: ""
    """Returns the result in words, from the program's output; empty: there is none."""

    def arguments(self, values: Values) -> list[str]:
        """Return the command line: arguments without an option first, then the options."""
        ordered = sorted(self.fields, key=lambda field: bool(field.option))
        return [
            argument
            for field in ordered
            for argument in field.arguments(values.get(field.key, ()))
        ]

    def missing(self, values: Values) -> str:
        """Return a sentence about a field that has to be filled in; empty: none."""
        missing = (
            one for one in self.fields if one.required and not values.get(one.key)
        )
        if (first := next(missing, None)) is None:
            return self.check(values)
        state = "not confirmed" if first.kind == "flag" else "nothing chosen"
        return f"{first.label}: {state} yet"

    def results(self, values: Values) -> Path | None:
        """Return the folder that the results go to."""
        if plot := self.plot(values):
            return plot.parent
        paths = values.get(self.writes) or self._input(values)
        if not paths:
            return None
        path = Path(paths[0])
        return path if path.is_dir() else path.parent

    def _input(self, values: Values) -> Sequence[str]:
        required = (values.get(field.key) for field in self.fields if field.required)
        return next((paths for paths in required if paths), ())


def _name_of_import(values: Values, models: Path) -> Mapping[str, Sequence[str]]:
    networks = values.get("Network", ())
    if not networks:
        return {}
    source = Path(networks[0])
    name = source.stem if source.suffix.lower() == ".onnx" else source.name
    beside = (source.with_suffix(".json"), source.with_name("network.json"))
    found = [str(file) for file in beside if source.is_file() and file.is_file()]
    free = free_path(models / (name or "network"))
    return {"--output": [str(free)], "--description": found[:1]}


IMPORT = ProgramForm(
    "Import a network",
    "ImportModel.py",
    "Import",
    "A network of DeepLabCut, SLEAP-NN or Lightning Pose, or any ONNX network. Its points "
    "are compared with those of the original program where it exported some.",
    form_fields(ImportModel),
    writes="--output",
    propose=_name_of_import,
)

PREDICT = ProgramForm(
    "Predict poses",
    "PredictVideos.py",
    "Predict",
    "Poses of whole videos, one row per frame. Finished videos are skipped.",
    form_fields(PredictVideos),
    outcomes={1: "Some videos could not be predicted: see the list above."},
    resumes=True,
    writes="--output",
)


def _poses_beside(values: Values, _models: Path) -> Mapping[str, Sequence[str]]:
    """Propose the poses that were predicted beside a video."""
    videos = values.get("Video", ())
    if not videos:
        return {}
    tables = (Path(videos[0]).with_suffix(ending) for ending in _TABLE_ENDINGS)
    return {"--poses": [str(table) for table in tables if table.is_file()][:1]}


RENDER = ProgramForm(
    "Labelled video",
    "RenderVideo.py",
    "Render",
    "A video with points, edges and trails of one table of poses, or of several.",
    form_fields(RenderVideo),
    writes="--output",
    propose=_poses_beside,
)

SMOOTH = ProgramForm(
    "Smooth an ensemble",
    "SmoothEnsemble.py",
    "Smooth",
    "Ensemble Kalman smoothing: predicts with each network, and gives neighbouring frames "
    "more weight where the networks disagree.",
    form_fields(SmoothEnsemble),
    resumes=True,
    writes="--output",
)


def _page_of_report(values: Values, _models: Path) -> Mapping[str, Sequence[str]]:
    models = values.get("--model", ())
    return {"--report": [str(Path(models[0]) / "report.html")]} if models else {}


REPORT = ProgramForm(
    "HTML report",
    "EvaluateNetwork.py",
    "Make report",
    "Errors per body part, with plots and all images; tables beside it.",
    form_fields(EvaluateNetwork),
    opens="--report",
    writes="--report",
    propose=_page_of_report,
)

BENCHMARK = ProgramForm(
    "Measure runtimes",
    "BenchmarkModel.py",
    "Measure",
    "Time per frame and changed points in each runtime of this computer. The fastest "
    "accepted one is remembered and used from then on.",
    form_fields(BenchmarkModel),
)

QUANTISE = ProgramForm(
    "Eight bits",
    "QuantiseNetwork.py",
    "Quantise",
    "A version of the network in 8 bits for the CPU, compared on frames of your video. It "
    "is written only if its points change little.",
    form_fields(QuantiseNetwork),
)

TRAIN = ProgramForm(
    "Train",
    "TrainNetwork.py",
    "Train",
    "",
    form_fields(TrainConfig, without=("output", "size", "steps")),
)
"""The page has editors of its own for the options that are left out."""


def _name_of_student(values: Values, models: Path) -> Mapping[str, Sequence[str]]:
    teachers = values.get("--teacher", ())
    if not teachers:
        return {}
    return {"--output": [str(free_path(models / f"{Path(teachers[0]).name}_fast"))]}


DISTIL = ProgramForm(
    "Distil",
    "DistillNetwork.py",
    "Distil",
    "A fast network learns from a slow one, on videos of the rig without labels. The first "
    "that is near enough and fast enough on this computer is kept.",
    form_fields(DistillNetwork),
    outcomes={1: "No student meets both limits: see the table above."},
    resume="--resume",
    writes="--output",
    propose=_name_of_student,
)


def _residual_plot(values: Values) -> Path | None:
    run, recording = values.get("Run"), values.get("Recording")
    if not run or not recording:
        return None
    name = "".join(values.get("--name", ()))
    return aligned_folder(Path(run[0]), Path(recording[0]), name) / PLOTS[-1]


ALIGN = ProgramForm(
    "Align with a recording",
    "AlignRecording.py",
    "Align",
    "Times of the run on the clock of another recorder, from a line that both have seen. "
    "The run is not changed. docs/alignment.md describes it.",
    form_fields(AlignRecording),
    plot=_residual_plot,
)


def _beside_settings(
    file: str,
) -> Callable[[Values, Path], Mapping[str, Sequence[str]]]:
    """Return what proposes a file beside the settings."""
    return lambda _values, models: {"--output": [str(models.parent / file)]}


BOARD = ProgramForm(
    "Print a board",
    "PrintBoard.py",
    "Write the page",
    "A ChArUco board in true millimetres. Print the page at actual size, glue it onto a "
    "stiff, flat plate, and measure its squares with a caliper.",
    form_fields(PrintBoard),
    opens="--output",
    writes="--output",
    propose=_beside_settings("board.pdf"),
)


MARKERS = ProgramForm(
    "Print markers",
    "PrintMarkers.py",
    "Write the page",
    "Four markers in true millimetres. Print the page at actual size, cut the markers out "
    "with their white border, and glue them to the corners of the plate.",
    form_fields(PrintMarkers),
    opens="--output",
    writes="--output",
    propose=_beside_settings("markers.pdf"),
)

CALIBRATE = ProgramForm(
    "Calibrate",
    "CalibrateCameras.py",
    "Calibrate",
    "Record with all cameras at once (step Record) while you move the board slowly through "
    "the space of the animal: near and far, tilted, to the edges of each image, where two cameras "
    "or more see it. Then lay it on the floor. Of one camera, only the lens is calibrated.",
    form_fields(CalibrateCameras, without=("floor", "from_below")),
    outcomes={1: "The calibration is refused: see above."},
    writes="--output",
    propose=_beside_settings("calibration.toml"),
)
"""The tab Floor has editors of its own for the options that are left out."""

PREDICTING = (PREDICT, RENDER, SMOOTH)
FASTER = (DISTIL, BENCHMARK, QUANTISE)
