"""The public functions for notebooks."""

import ast
import inspect
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import deeplabstream as dls
from deeplabstream import plugin
from deeplabstream.core.errors import DeepLabStreamError, DeviceError, ModelError
from deeplabstream.programs.train_network import PROGRAM as TRAIN_NETWORK
from deeplabstream.simulation.arena import Arena
from tests.engine.test_session import SETTINGS, SIMULATED
from tests.fresh_python import ROOT, python
from tests.recording.recorded import (
    FRAMES,
    SKIPPED,
    START_NS,
    UNFILMED,
    brightness,
    record,
    step,
)
from tests.training.conftest import labelled as labelled
from tools.api_docs import LIBRARY, describe

pytestmark = pytest.mark.usefixtures("fork_server")

HEAVY = (
    "torch",
    "PyQt5",
    "pandas",
    "xarray",
    "cv2",
    "onnxruntime",
    "numpy",
    "pydantic",
)


@pytest.fixture
def run(tmp_path: Path) -> dls.RecordedRun:
    return dls.open_run(record(tmp_path / "run"))


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import deeplabstream as dls\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))\n"
        "ours = [m for m in sys.modules if m.startswith('deeplabstream')]\n"
        "assert len(ours) <= 4, ours\n"
        "own = len(set(sys.modules) - before); import numpy\n"
        "assert 2 * own < len(set(sys.modules) - before), own"
    )
    assert python(code) == ""


def test_the_page_describes_every_function_for_notebooks() -> None:
    assert sorted([*LIBRARY, "Step"]) == dls.__all__  # Step: what Session.events yields


def test_names_for_plugins_can_be_imported_as_in_earlier_versions() -> None:
    code = (
        "import sys, deeplabstream; from deeplabstream import Trigger\n"
        "from deeplabstream import plugin\n"
        "assert Trigger is plugin.Trigger\n"
        "names = [n for n in vars(plugin) if not n.startswith('_')]\n"
        "assert len(names) >= 89\n"
        "from deeplabstream import NOTHING_YET, SEED_WORDS, Hear\n"
        "assert NOTHING_YET is plugin.NO_FRAME_YET\n"
        "assert all(getattr(deeplabstream, n) is vars(plugin)[n] for n in names)\n"
        "print(*(n for n in ('torch', 'PyQt5', 'cv2') if n in sys.modules))"
    )
    assert python(code) == ""


def test_no_name_is_declared_for_both_audiences() -> None:
    assert not set(dls.__all__) & set(vars(plugin))


def test_a_name_that_does_not_exist_is_refused_by_the_package() -> None:
    with pytest.raises(AttributeError, match="'deeplabstream' has no attribute 'Foo'"):
        vars(dls)["__getattr__"]("Foo")


def test_opening_a_run_loads_neither_torch_nor_qt() -> None:
    code = (
        "import sys, deeplabstream as dls\n"
        "dls.open_run, dls.replay, dls.Session, dls.load_model, dls.predict\n"
        "print(*(name for name in ('torch', 'PyQt5') if name in sys.modules))"
    )
    assert python(code) == ""


def test_poses_of_a_run_are_what_was_recorded(run: dls.RecordedRun) -> None:
    poses = run.poses_arrays
    assert poses.position.shape == (FRAMES, 2, 2, 1)
    assert poses.confidence.shape == (FRAMES, 2, 1)
    assert (poses.keypoints, poses.individuals) == (("nose", "tail"), ("animal1",))
    assert (poses.fps, poses.threshold) == (10.0, 0.5)
    assert np.allclose(poses.time_s, np.arange(FRAMES) / 10)
    for frame in (0, 12, 22, 39):
        wanted = step(frame).pose
        assert np.array_equal(poses.position[frame, :, :, 0].T, wanted.points[0])
        assert np.array_equal(poses.confidence[frame, :, 0], wanted.confidence[0])
    assert np.isnan(poses.position[SKIPPED]).all()
    assert np.isnan(poses.confidence[SKIPPED]).all()


def test_poses_have_the_layout_of_movement(run: dls.RecordedRun) -> None:
    pytest.importorskip("xarray")
    poses = run.poses
    assert poses.position.dims == ("time", "space", "keypoints", "individuals")
    assert poses.confidence.dims == ("time", "keypoints", "individuals")
    assert poses.attrs["source_software"] == "DeepLabStream"
    assert (poses.attrs["fps"], poses.attrs["time_unit"]) == (10.0, "seconds")
    nose = poses.position.sel(keypoints="nose", individuals="animal1", space="x")
    assert float(nose.sel(time=1.2)) == 12.0
    datasets = pytest.importorskip("movement.validators.datasets")
    datasets.ValidPosesInputs.validate(poses)


def test_without_xarray_poses_are_arrays(
    run: dls.RecordedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    assert run.poses is run.poses_arrays
    with pytest.raises(ImportError):
        run.poses_arrays.to_xarray()


def test_events_triggers_and_frames_are_tables(run: dls.RecordedRun) -> None:
    events, triggers, frames = run.events, run.triggers, run.frames
    edges = events[events.kind == "edge"]
    assert list(edges.level) == [0.0, 0.5, 0.0]
    assert list(edges.time_s) == pytest.approx([0.0, 1.05, 2.05])
    assert int(edges.written_ns.iloc[0]) == START_NS
    assert edges.acted_ns.isna().all()
    assert events[events.kind == "mark"].text.item() == "entry"
    answers = [None if it is None else bool(it) for it in _objects(triggers.answer)]
    assert answers == [False, True, None, False]
    assert list(triggers.time_s) == pytest.approx([0.0, 1.0, 2.0, 2.5])
    assert list(frames.columns[:2]) == ["camera", "frame"]
    assert list(frames.frame) == list(range(FRAMES))
    assert list(np.flatnonzero(~frames.analysed)) == [SKIPPED]
    assert "nose_x" not in frames
    assert "trigger_in" in frames
    assert (frames.video != "").sum() == UNFILMED
    assert run.info["how"] == "stopped"
    assert run.settings.deciding_camera == "top"
    assert "camera" not in run.frames_of("top")  # what `frames` adds is its own


def _objects(column: Any) -> list[Any]:
    return column.astype(object).where(column.notna(), None).tolist()


def test_frames_of_the_video_come_by_index_and_by_time(run: dls.RecordedRun) -> None:
    for frame in (12, 3, 29):  # in any order
        for image in (
            run.frame("top", index=frame),
            run.frame("top", time_s=frame / 10 + 0.04),
        ):
            assert image.shape == (48, 64, 3)
            assert abs(float(image.mean()) - brightness(frame)) < 3
    with pytest.raises(DeviceError, match="frame 35 of camera 'top' was not recorded"):
        run.frame("top", index=35)
    with pytest.raises(IndexError, match="has the frames 0 to 39, not 40"):
        run.frame("top", index=FRAMES)
    with pytest.raises(TypeError, match="either index or time_s"):
        run.frame("top")
    with pytest.raises(DeviceError, match="no camera 'side'; its cameras: top"):
        run.frame("side", index=0)


def test_a_run_without_analysis_has_frames_and_no_poses(tmp_path: Path) -> None:
    path = record(tmp_path / "run")
    (path / "top.csv").unlink()
    run = dls.open_run(path)
    assert run.analysed == ()
    assert list(run.frames.frame) == list(range(UNFILMED))
    assert not run.frames.analysed.any()
    assert abs(float(run.frame("top", time_s=2.0).mean()) - brightness(20)) < 3
    with pytest.raises(DeviceError, match="no poses in"):
        _ = run.poses


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="is not a run folder"):
        dls.open_run(tmp_path)


def test_a_run_decided_again_is_the_same_and_with_other_settings_is_not(
    tmp_path: Path,
) -> None:
    golden = ROOT / "tests/golden/runs/place_avoidance"
    folder = tmp_path / "run"
    shutil.copytree(golden, folder)
    same = dls.replay(dls.open_run(folder))
    assert same.empty
    assert same.attrs["frames"] > 100
    assert same.attrs["commands"] > 0
    text = (folder / "settings.ini").read_text("utf-8")
    other = tmp_path / "other.ini"
    other.write_text(_moved_regions(text), "utf-8")
    differences = dls.replay(folder, settings=other)
    assert list(differences.columns) == ["time_s", "camera", "frame", "recorded", "now"]
    assert len(differences) > 0
    assert (differences.recorded != differences.now).all()


def _moved_regions(text: str) -> str:
    lines = [
        "REGION = circle 5 5 1" if line.startswith("REGION") else line
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def test_a_model_is_opened_by_name_and_gives_poses(run: dls.RecordedRun) -> None:
    network = dls.load_model("arena", runtime="cpu", threads=1)
    assert "snout" in network.skeleton.bodyparts
    pose = network.estimate([np.zeros((120, 160, 3), np.uint8)])[0]
    assert pose.points.shape == (1, len(network.skeleton.bodyparts), 2)
    with pytest.raises(ModelError, match="there is no model 'arenna'"):
        dls.load_model("arenna")


@pytest.mark.parametrize("opened", [False, True])
def test_a_video_is_predicted_in_the_same_form(tmp_path: Path, opened: bool) -> None:
    pytest.importorskip("xarray")
    video = record(tmp_path / "run") / "top.mkv"
    model = dls.load_model("arena", runtime="cpu", threads=1) if opened else "arena"
    poses = dls.predict(video, model=model, runtime="cpu", threads=1)
    network = dls.load_model("arena", runtime="cpu", threads=1)
    assert poses.sizes == {
        "time": UNFILMED,
        "space": 2,
        "keypoints": len(network.skeleton.bodyparts),
        "individuals": 1,
    }
    assert poses.attrs["fps"] == pytest.approx(10.0)
    image = dls.open_run(video.parent).frame("top", index=4)
    alone = network.estimate([image])[0]
    assert np.allclose(
        poses.position.to_numpy()[4, :, :, 0].T, alone.points[0], atol=0.05
    )
    with pytest.raises(DeviceError):
        dls.predict(tmp_path / "none.mkv", model=network)


def test_a_session_runs_from_start_to_the_record(tmp_path: Path) -> None:
    settings = tmp_path / "settings.ini"
    settings.write_text(SETTINGS + SIMULATED, "utf-8")
    steps = edges = 0
    with dls.Session(settings) as session:
        session.start("experiment", record=True)
        for event in session.events(seconds=300):
            steps += isinstance(event, dls.Step)
            edges += isinstance(event, dls.Edge) and event.level > 0
            if steps >= 50 and edges and session.state.counts["top"].recorded:
                break
        folder = session.stop()
        assert session.processes() == []
        assert session.state.levels == {"light": 0.0}
    assert folder is not None
    run = dls.open_run(folder)
    assert run.info["ended"] is not None
    assert len(run.poses_arrays.time_s) >= 50
    recorded = run.frames_of("top").query("video != ''").index
    assert run.frame("top", index=int(recorded[-1])).shape == (120, 160, 3)
    assert dls.replay(run).empty


def test_a_session_that_can_not_start_says_why_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "settings.ini"
    text = SETTINGS.replace("MODEL = stand-in:0", "MODEL = nothing_there") + SIMULATED
    settings.write_text(text, "utf-8")
    with dls.Session(settings) as session:
        with pytest.raises(DeviceError, match="nothing_there"):
            session.start("analysis")
        assert session.processes() == []


def test_a_network_is_trained_and_evaluated(labelled: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = dls.TrainConfig(
        data=labelled,
        output=tmp_path / "tiny",
        size="64x48",
        steps=2,
        batch=2,
        stages=4,
        channels=8,
        progress="none",
    )
    trained = dls.train(config, report=said.append)
    assert trained.folder == tmp_path / "tiny"
    assert trained.model.skeleton.bodyparts == ("leftear", "rightear")
    assert [error.bodypart for error in trained.errors[0]] == ["leftear", "rightear"]
    assert "6 images to train on, 2 held out" in said
    errors = dls.evaluate(trained.folder, runtime="cpu", within=20)
    assert set(errors.set) == {"train", "validation"}
    assert set(errors.bodypart) == {"leftear", "rightear", "together"}
    of_ear = errors[(errors.set == "train") & (errors.bodypart == "leftear")]
    assert of_ear[of_ear.measure == "error_px"].labels.item() == 6
    again = dls.evaluate(trained.folder, labelled, runtime="cpu")
    assert set(again.set) == {"all"}
    with pytest.raises(DeepLabStreamError, match="already exists"):
        dls.train(config)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({}, "give either --data or a Lightning Pose configuration"),
        ({"data": "a", "config": "b"}, "give either --data"),
        ({"data": "a", "steps": 0}, "steps = 0: expected 1 or more"),
        ({"data": "a", "moved": 2.0}, "moved = 2.0: expected a number from 0 to 1"),
        ({"data": "a", "size": "50x50"}, "both must be multiples of 16"),
        ({"data": "a", "seeds": (1, 1)}, "an ensemble needs two or more"),
    ],
)
def test_what_can_not_be_trained_is_told_before(
    words: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=sentence):
        dls.TrainConfig(output=tmp_path / "model", **words)


def test_the_command_line_has_the_defaults_of_the_library() -> None:
    read = TRAIN_NETWORK.read(["--data", "a", "--output", "b"])
    assert read == dls.TrainConfig(
        data=Path("a"), output=Path("b"), command=read.command
    )


def test_the_reference_page_is_what_the_docstrings_say() -> None:
    page = (ROOT / "docs/api.md").read_text("utf-8")
    assert page == describe(), "python -m tools.api_docs docs/api.md"


def public_functions() -> list[Any]:
    own = [getattr(dls, name) for name in LIBRARY]
    methods = [
        what
        for each in own
        if inspect.isclass(each)
        for name, what in vars(each).items()
        if inspect.isfunction(what) and not name.startswith("_")
    ]
    return [*own, *methods]


@pytest.mark.parametrize("what", public_functions(), ids=lambda it: it.__qualname__)
def test_a_docstring_names_every_parameter_and_what_comes_back(what: Any) -> None:
    text = inspect.getdoc(what) or ""
    names = [name for name in inspect.signature(what).parameters if name != "self"]
    if what not in (dls.RecordedRun, dls.PoseArrays, dls.Trained):
        missing = [n for n in names if not re.search(rf"^{n} : ", text, re.MULTILINE)]
        assert missing == []
    if inspect.isfunction(what) and what.__name__ != "start":
        assert re.search(r"^(Returns|Yields)\n-+$", text, re.MULTILINE)
    for name in re.findall(r"\bdls\.(\w+)", text):
        assert name in dls.__all__
    examples = "\n".join(re.findall(r"^(?:>>>|\.\.\.) (.*)$", text, re.MULTILINE))
    ast.parse(examples)


NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
RIG = """\
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = arena
RUNTIME = cpu
THREADS = 1
[Experiment]
EXP_NAME = Conditional
[Camera top]
KIND = SimulatedCamera
WIDTH = 320
HEIGHT = 240
RATE = 15
SHELTER = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 320 240
[Output light]
KIND = SimulatedOutput
[Experiment Conditional]
TRIGGER = anywhere
OUTPUT = light
MAX_ON_S = 0.5
"""


@pytest.fixture(scope="module")
def notebook_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recorded run and with labelled frames of the same arena."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "settings.ini").write_text(RIG, "utf-8")
    with dls.Session(folder / "settings.ini") as session:
        session.start("experiment", record=True)
        steps = levels = 0
        for event in session.events(seconds=300):
            steps += isinstance(event, dls.Step)
            levels += isinstance(event, dls.Edge)
            if steps >= 40 and levels >= 3 and session.state.counts["top"].recorded:
                break
        recorded = session.stop()
    assert recorded is not None
    recorded.rename(folder / "run")
    arena, image = (
        Arena((240, 320, 3), shelter=False),
        np.zeros((240, 320, 3), np.uint8),
    )
    parts = dls.load_model("arena", runtime="cpu", threads=1).skeleton.bodyparts
    lines = [
        "scorer" + ",me" * 2 * len(parts),
        "bodyparts," + ",".join(part for part in parts for _ in "xy"),
        "coords" + ",x,y" * len(parts),
    ]
    (folder / "labels").mkdir()
    for number in range(4):
        arena.draw(image, 3.0 * number)
        cv2.imwrite(str(folder / f"labels/{number}.png"), image)
        points = arena.truth(3.0 * number)[0].ravel().tolist()
        lines.append(f"{number}.png," + ",".join(map(str, points)))
    (folder / "labels/CollectedData.csv").write_text("\n".join(lines), "utf-8")
    for name, group in (("one", "control"), ("two", "control"), ("three", "treated")):
        copy = shutil.copytree(
            ROOT / "tests/golden/runs/conditional", folder / "runs" / name
        )
        facts = json.loads((copy / "run.json").read_text("utf-8"))
        facts["session"] = {"animal": f"mouse {name}", "group": group}
        (copy / "run.json").write_text(json.dumps(facts), "utf-8")
    return folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda it: it.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    notebook: Path, notebook_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xarray")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(notebook_folder)
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in cells)
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(code):
            exec(compile(cell, f"{notebook.name}, cell {number}", "exec"), names)
    finally:
        pyplot.close("all")
    if notebook.stem == "recorded_run":
        assert len(names["epochs"]) >= 1
        assert names["differences"].empty
        assert Path("track.png").stat().st_size > 5000
    elif notebook.stem == "results":
        assert sum(bool(line) for cell in code for line in cell.split("\n")) <= 15
        assert list(names["whole"]["animal"]) == [
            "mouse one",
            "mouse two",
            "mouse three",
        ]
        assert "control" in Path("groups.svg").read_text("utf-8")
    else:
        assert names["errors"].loc["snout"].median_px < 5
        assert Path("errors.png").stat().st_size > 2000


def test_there_are_three_notebooks() -> None:
    assert [it.stem for it in NOTEBOOKS] == [
        "predict_and_evaluate",
        "recorded_run",
        "results",
    ]
