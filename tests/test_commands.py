"""Commands of README and docs run in a folder of the user's, not in the checkout."""

import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.frame import Image
from deeplabstream.simulation.arena import Arena
from tests.documented import PAGES, commands, main_of
from tests.engine.tolerant import shipped_settings
from tests.offline.films import write_film

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ".venv/bin/python"
RUN = "output/RUN"
MINE = "--settings mine.ini"
RAN = {
    "utils/CheckSettings.py": "",
    "utils/CheckSettings.py mine.ini": "",
    "utils/TestOutput.py --list": "",
    'utils/TestOutput.py "left stimulus"': f"{MINE} --seconds 0.1",
    "utils/ImportSettings.py old/settings.ini --output mine.ini": "--output new.ini",
    "utils/ImportSettings.py old/experiments/configs/corner_light.ini "
    "--output corner_light.ini --rig mine.ini": "--rig new.ini",
    "utils/DesignExperiment.py --yes --rig simulated": "",
    "utils/RehearseExperiment.py --experiment place_avoidance": "--minutes 0.1",
    "DeepLabStream.py --list-cameras": "",
    "DeepLabStream.py --recording-enabled --frames 300": f"--frames 20 {MINE}",
    "DeepLabStream.py --experiment conditional --headless": f"--frames 20 {MINE}",
    "app.py --settings mine.ini --headless --seconds 20": "--seconds 1",
    "utils/VideoAnalyzer.py --video mouse.mp4 --fast --no-experiment": MINE,
    "utils/VideoAnalyzer.py --experiment conditional --video": f"--fast {MINE}",
    f"utils/VideoAnalyzer.py --run {RUN} --settings other.ini": "",
    f"utils/ExportRun.py {RUN} --to nwb": "",
    f"utils/ExportRun.py {RUN} --to all": "--overwrite",
    f"utils/ExportRun.py {RUN} --to bundle": "--overwrite",
    f"utils/VerifyBundle.py {RUN}/export/bundle": "",
    f"utils/RepairRun.py {RUN}": "",
    "utils/Uptime.py output": "",
    f"utils/AnalyseRuns.py {RUN}": "--overwrite",
    f"utils/CorrectPoses.py {RUN} list": "",
    "utils/ImportRun.py mouse.mp4 mouse.csv --to output/m3 --animal": "",
    "utils/AnalyseRuns.py output --bin-s 60": "",
    "utils/AnalyseRuns.py output --plots": "",
    "utils/AnalyseRuns.py output --table all.xlsx": "",
    f"utils/AnalyseRuns.py {RUN} --report": "--overwrite",
    "utils/PredictVideos.py videos/ --model mine --to csv nwb": "--runtime cpu",
    "utils/PredictVideos.py one.avi two.mkv": "--runtime cpu",
    "utils/PredictVideos.py pair.mkv": "",
    "utils/PredictVideos.py mouse.mp4 --model runs/one --to csv": "--overwrite --runtime cpu",
    "utils/PredictFrames.py --model mine pictures": "",
    "utils/RenderVideo.py mouse.mp4 --poses mouse.csv --model mine": "",
    "utils/RenderVideo.py mouse.mp4 --poses ours=a.csv theirs=b.h5": "",
    "utils/MotionEnergy.py mouse.mp4 --region whisker": "--overwrite",
    "utils/PrintBoard.py --page A3": "",
    "utils/PrintMarkers.py": "",
    "utils/PickFrames.py mouse.mp4 --into labels": "",
    "utils/CropFrames.py boxes mouse.csv": "",
}
"""Beginning of a command that is run -> words added to it, which shorten it."""

MADE = {
    "utils/ImportSettings.py old/settings.ini": "new.ini",
    "utils/DesignExperiment.py": "light.ini",
    "DeepLabStream.py --recording-enabled": "output/*/arena.mkv",
    "app.py --settings mine.ini --headless": "output/*/run.json",
    "utils/VideoAnalyzer.py --run": "differences.csv",
    "utils/AnalyseRuns.py output/": "results.csv",
    "utils/AnalyseRuns.py output --bin-s 60": "bins.csv",
    "utils/AnalyseRuns.py output --table all.xlsx": "all.xlsx",
    "utils/AnalyseRuns.py output --plots": "figures/*.track.pdf",
    f"utils/AnalyseRuns.py {RUN} --report": "run.html",
    "utils/PredictVideos.py videos/": "videos/mouse.nwb",
    "utils/PredictVideos.py one.avi": "poses/two.*",
    "utils/RenderVideo.py mouse.mp4 --poses mouse.csv": "mouse.labelled.mp4",
    "utils/RenderVideo.py mouse.mp4 --poses ours=a.csv": "mouse.labelled.mkv",
    "utils/PrintBoard.py": "board.pdf",
    "utils/PrintMarkers.py": "markers.pdf",
    "utils/MotionEnergy.py": "mouse.whisker.ROIMotionEnergy.npy",
    "utils/PickFrames.py mouse.mp4": "labels/labeled-data/mouse/*.png",
}
"""What commands leave in the folder in which they run, or beside the settings' file."""

PARSED = {
    "utils/Doctor.py": "depends on the computer; tests/utils/test_doctor",
    "utils/RunRack.py": "needs a rack file; tests/rack",
    "utils/ServePage.py": "needs a rack file; tests/web",
    "utils/SendAlarms.py": "needs a rack file; tests/rack",
    "utils/PublishRack.py": "needs a rack file; tests/rack",
    "utils/CollectRuns.py": "needs rclone; tests/programs",
    "utils/WriteService.py": "needs a rack file; tests/rack/test_service_definition.py",
    "utils/NewRig.py": "makes a rig folder; tests/test_rig_folder.py",
    "utils/MotionEnergy.py": "the same with one more region",
    "utils/RehearseExperiment.py": "the same for longer",
    f"utils/ExportRun.py {RUN} --to nwb": "the same with options of the subject",
    "app.py --headless": "as with --settings mine.ini --headless",
    "app.py": "opens the window until somebody closes it; tests/gui",
    "DeepLabStream.py": "runs until Q is pressed, or 3000 frames; tests/test_deeplabstream",
    "benchmarks/": "tests/test_started.py runs the smallest case of each",
    "utils/DesignExperiment.py": "asks questions; tests/utils/test_design_experiment",
    "utils/TestOutput.py": "needs an output of the wiring; tests/utils/test_test_output",
    "utils/AlignRecording.py": "needs a recording of another program; tests/recording/alignment",
    "utils/MeasureLatency.py": "needs a board or a camera; tests/latency_test",
    "utils/MatchPulses.py": "needs a run with pulses; tests/recording/test_match_pulses",
    "utils/TestBoard.py": "needs a board; tests/firmware runs it on an emulated one",
    "utils/VideoAnalyzer.py --video mouse.mp4": "opens a window; tests/engine",
    f"utils/VideoAnalyzer.py --run {RUN}": "shown above with two more words",
    "utils/PredictVideos.py": "the same with another network or format",
    f"utils/PickFrames.py {RUN} --into labels --queue": "needs uncertain frames; tests/gui",
    "utils/PlotSession.py": "needs an IBL session; tests/offline/test_trial_activity",
    "utils/ProcessSessions.py": "needs IBL sessions and networks; tests/offline",
    "utils/SmoothEnsemble.py": "needs several networks' tables; tests/offline",
    "utils/RenderVideo.py": "needs a table of IBL's trials; tests/offline/test_rendering",
    "utils/AnalyseRuns.py output --group": "needs runs of groups; tests/analysis",
    "utils/ImportRun.py": "needs poses of other programs; tests/offline",
    "utils/AnalyseRuns.py output/m3": "needs an imported run; tests/offline",
    "utils/AnalyseRuns.py output --report": "needs runs of groups; tests/analysis",
    "utils/AuditRun.py": "needs verdicts of people; tests/utils/test_audit_run",
    "utils/CorrectPoses.py": "needs a run with these frames; tests/utils",
    "utils/CompareGroups.py": "needs runs of groups; tests/analysis",
    "utils/TrainClassifier.py": "needs labelled behaviour; tests/training",
    "utils/TrainNetwork.py": "trains for minutes; tests/training/test_programs",
    "utils/DistillNetwork.py": "trains for hours; tests/offline/test_distillation",
    "utils/EvaluateNetwork.py": "needs a trained network; tests/training",
    "utils/RecommendSettings.py": "needs labels; tests/training",
    "utils/CheckLabels.py": "needs labels; tests/training",
    "utils/PredictFrames.py --model runs/one": "needs labels; tests/training",
    "utils/ConvertProject.py": "needs a DeepLabCut project; tests/training",
    "utils/CheckNetwork.py": "needs points placed by hand; tests/test_visits",
    "utils/CheckAnimals.py": "walks for minutes; tests/pose/test_arena_animals",
    "utils/EvaluateTracking.py": "needs true tracks; tests/offline/test_tracking_evaluation",
    "utils/PrintBoard.py": "the same on another page",
    "utils/CalibrateCameras.py": "needs videos of a board; tests/programs",
    "utils/ConvertCalibration.py": "needs a calibration; tests/programs",
    "utils/LearnAppearance.py": "trains for a minute; tests/training/test_learn_appearance",
    "utils/TriangulatePoses.py": "needs a calibration and its poses; tests/programs",
    "utils/BenchmarkModel.py": "measures every runtime; tests/pose/test_runtime_list",
    "utils/QuantiseNetwork.py": "takes minutes; tests/utils/test_quantise_network",
    "utils/ImportModel.py": "needs another program's network; tests/pose/importers",
}
"""Beginning of a command whose words are only parsed (tests/test_docs.py) -> why."""


def every_command() -> list[str]:
    """Return what is started with Python, without the interpreter, each once."""
    pages = [page for page in PAGES if page.name != "tutorial.md"]  # test_tutorial.py
    words = [line.split() for page in pages for line in commands(page)]
    return sorted({" ".join(each[1:]) for each in words if each[:1] == [PYTHON]})


def written_as(begin: str) -> list[str]:
    return [command for command in every_command() if command.startswith(begin)]


STUDY = "utils/AnalyseRuns.py output "
"""Beginning of commands for all runs: they get a folder with one run, not with those of others."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, fork_server: None) -> Path:
    """What the commands name: settings, networks, short videos, a recorded run."""
    folder = tmp_path_factory.mktemp("user")
    arena, shape = Arena((480, 640, 3), 1), (480, 640, 3)

    def frame(row: int) -> Image:
        image = np.empty(shape, np.uint8)
        arena.draw(image, row / 10, row)
        return image

    settings = shipped_settings(RUNTIME="cpu", FRAMERATE="8")
    for name in ("mine.ini", "other.ini"):
        (folder / name).write_text(settings, "utf-8")
    for name in ("mine", "models/mine", "runs/one"):
        shutil.copytree(ROOT / "models/arena", folder / name)
    film = write_film(folder / "mouse.mp4", frame, frames=12)
    for name in ("two.mkv", "pair.mkv", "videos/mouse.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(film, folder / name)
    write_film(folder / "one.avi", frame, frames=4, codec="mjpeg")
    (folder / "pictures").mkdir()
    shutil.copy(ROOT / "models/arena/pictures.jpg", folder / "pictures")
    shutil.copytree(ROOT / "tests/utils/predecessor", folder / "old")
    before = Path.cwd()
    os.chdir(folder)
    try:
        run(
            "DeepLabStream.py --recording-enabled --dlc-enabled",
            f"--headless --frames 20 {MINE}",
        )
        (made,) = Path("output").iterdir()
        made.rename(RUN)
        run(
            "utils/PredictVideos.py mouse.mp4", "--model mine --to csv h5 --runtime cpu"
        )
        shutil.copy("mouse.csv", "a.csv")
        shutil.copy("mouse.h5", "b.h5")
        shutil.copytree(RUN, f"study/{RUN}")
    finally:
        os.chdir(before)
    return folder


def run(command: str, more: str) -> None:
    found = main_of(f"{PYTHON} {command}")
    assert found is not None
    main, words = found
    assert main([*words, *shlex.split(more)]) == 0, command


@pytest.mark.timeout(900)  # for a computer on which much else runs
@pytest.mark.filterwarnings("default")  # of packages that write files, as users have it
@pytest.mark.parametrize("begin", RAN)
def test_a_command_of_the_docs_does_its_work_in_the_folder_of_the_user(
    begin: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if begin.startswith(STUDY):
        folder = folder / "study"
    monkeypatch.chdir(folder)
    written = written_as(begin)
    assert written, "no page has it"
    run(written[0], RAN[begin])
    for start, file in MADE.items():
        if begin.startswith(start):
            assert list(folder.glob(file)), sorted(folder.rglob("*"))


def test_commands_that_are_not_run_have_a_reason() -> None:
    ran = {command for begin in RAN for command in written_as(begin)[:1]}
    reasons = {
        command: [
            reason for begin, reason in PARSED.items() if command.startswith(begin)
        ]
        for command in every_command()
        if command not in ran
    }
    assert [command for command, reason in reasons.items() if not reason] == []
    used = {reason for found in reasons.values() for reason in found}
    assert set(PARSED.values()) - used == set()
