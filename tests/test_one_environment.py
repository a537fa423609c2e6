"""What the window and the documented programs offer works with the packages of a rig alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.recording.calibrations.calibration_file import read_calibration
from deeplabstream.recording.exporters.exports import EXPORTS
from deeplabstream.recording.exporters.pose_files import WRITERS
from tests.analysis.made import GOLDEN
from tests.offline.camera_calibration.boards import render
from tests.offline.films import write_film
from tests.only_rig_packages import ROOT, refused_modules, rig_packages
from tests.space.cameras import four_cameras, without_distortion


def run(*arguments: object, cwd: Path) -> str:
    """Return the output of a program that sees only the packages of requirements.txt."""
    words = [str(argument) for argument in arguments]
    command = [sys.executable, "-m", "tests.only_rig_packages", str(ROOT / words[0])]
    done = subprocess.run(
        [*command, *words[1:]], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rig")
    run = Path(shutil.copytree(GOLDEN / "trial_based", folder / "output/run"))
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts["started"] = "2026-11-21T10:58:55+00:00"  # NWB needs one
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    return run


def test_packages_of_tests_are_refused() -> None:
    refused = refused_modules(rig_packages())
    assert {"pytest", "mypy", "dask", "movement"} <= refused
    assert not refused & {"numpy", "matplotlib", "pingouin", "pyarrow", "tables", "av"}


def test_a_run_is_exported_in_every_format(recorded: Path, tmp_path: Path) -> None:
    kinds = [kind for kind in EXPORTS if kind != "labelled-video"]  # no video in it
    run("utils/ExportRun.py", recorded, "--to", *kinds, "--output", "out", cwd=tmp_path)
    written = {file.suffix for file in (tmp_path / "out").iterdir()}
    assert {".csv", ".h5", ".slp", ".parquet", ".nwb"} <= written


@pytest.mark.parametrize(
    ("table", "more"),
    [
        ("a.csv", ["--plots", "figures", "--report", "report.html"]),
        ("a.xlsx", ["--report", "report.pdf"]),
        ("a.parquet", []),
    ],
)
def test_results_are_written_in_every_format_and_plots_and_reports_are_drawn(
    recorded: Path, tmp_path: Path, table: str, more: list[str]
) -> None:
    run("utils/AnalyseRuns.py", recorded, "--table", table, *more, cwd=tmp_path)
    assert (tmp_path / table).is_file()
    if "--plots" in more:
        assert list((tmp_path / "figures").glob("*.svg"))
    if "--report" in more:
        assert (tmp_path / more[-1]).stat().st_size > 10_000


def test_poses_of_a_video_are_written_in_every_format(tmp_path: Path) -> None:
    video = write_film(tmp_path / "mouse.mkv")
    model = ROOT / "models/arena"
    run("utils/PredictVideos.py", video, "--model", model, "--runtime", "cpu",
        "--to", *WRITERS, cwd=tmp_path)  # fmt: skip
    assert all((tmp_path / f"mouse.{kind}").is_file() for kind in WRITERS)


def test_statistics_classifiers_and_alignment_can_be_imported(tmp_path: Path) -> None:
    modules = (
        "deeplabstream.analysis.group_statistics", "pingouin", "openpyxl", "skl2onnx",
        "sklearn.ensemble", "pyxdf", "pynwb", "ndx_pose", "rocrate.rocrate", "tables",
    )  # fmt: skip
    program = tmp_path / "program.py"
    program.write_text("".join(f"import {name}\n" for name in modules), "utf-8")
    run(program, cwd=tmp_path)


ALL_HELP = """
import contextlib, io, sys
from tests.only_rig_packages import core_packages, hide_all_but
hide_all_but(core_packages())
from deeplabstream import cli
for name in sorted(cli.COMMANDS):
    with contextlib.redirect_stdout(io.StringIO()) as help_text:
        with contextlib.suppress(SystemExit):
            cli.main([name, "--help"])
    if name not in help_text.getvalue():
        print(name)
print("done")
"""


def test_help_of_every_program_needs_no_optional_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELP], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "done\n", done.stdout + done.stderr


def test_cameras_are_calibrated_and_a_board_is_printed(tmp_path: Path) -> None:
    pytest.importorskip("caliscope", reason="it calibrates the cameras")
    cameras = without_distortion(four_cameras()).select(["left", "right", "front"])
    render(cameras, tmp_path, 60)
    run("utils/CalibrateCameras.py", *cameras.names, "--board", "7x5",
        "--square-mm", "30", "--floor", "0", cwd=tmp_path)  # fmt: skip
    assert read_calibration(tmp_path / "calibration.toml").names == cameras.names
    run("utils/PrintBoard.py", cwd=tmp_path)
    assert (tmp_path / "board.pdf").is_file()
