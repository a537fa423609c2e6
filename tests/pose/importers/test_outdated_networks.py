"""A network of an earlier import is told to be imported anew by each program that uses it."""

import json
from pathlib import Path

import pytest

from DeepLabStream import main as stream
from tests.engine.test_session import SETTINGS, SIMULATED
from tests.offline.films import write_film
from tests.pose.importers.described_networks import identity
from utils.ImportModel import main as import_model
from utils.VideoAnalyzer import main as analyse

pytestmark = pytest.mark.usefixtures("fork_server")

WORDS = {
    "bodyparts": ["snout", "neck", "tail"],
    "input": {"width": 64, "height": 64},
    "heatmaps": {"stride": 4, "sigma": 1.0, "origin": 0},
}


@pytest.fixture
def settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return settings that name an imported network, as an earlier version wrote it."""
    described = tmp_path / "it.json"
    described.write_text(json.dumps(WORDS), "utf-8")
    file = identity(tmp_path / "it.onnx")
    words = ["--description", str(described), "--output", str(tmp_path / "old")]
    assert import_model([str(file), *words]) == 0
    said = json.loads((tmp_path / "old/model.json").read_text("utf-8"))
    del said["imported"]
    (tmp_path / "old/model.json").write_text(json.dumps(said), "utf-8")
    text = (SETTINGS + SIMULATED).replace("stand-in:0", str(tmp_path / "old"))
    path = tmp_path / "settings.ini"
    path.write_text(text, "utf-8")
    capsys.readouterr()
    return path


def renewed(settings: Path) -> None:
    """Write the model folder as it is written now."""
    file = settings.parent / "old/model.json"
    said = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**said, "imported": 2}), "utf-8")


def test_a_rig_says_at_its_start_that_a_network_is_to_be_imported_anew(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--settings", str(settings), "--headless", "--benchmark-enabled"]
    assert stream([*words, "--frames", "10"]) == 0
    told = capsys.readouterr().out
    notes = [line for line in told.splitlines() if line.startswith("network: ")]
    assert [line.count("Import it again") for line in notes] == [1]
    assert "10 frames of camera top analysed" in told  # a warning ends nothing
    renewed(settings)
    assert stream([*words, "--frames", "10"]) == 0
    assert "Import it again" not in capsys.readouterr().out


def test_video_analyzer_says_that_a_network_is_to_be_imported_anew(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    words = ["--settings", str(settings), "--video", str(film), "--fast"]
    words += ["--no-experiment", "--no-labels", "--output"]
    assert analyse([*words, str(tmp_path / "run")]) == 0
    assert "Import it again" in capsys.readouterr().err
    renewed(settings)
    assert analyse([*words, str(tmp_path / "again")]) == 0
    assert "Import it again" not in capsys.readouterr().err
