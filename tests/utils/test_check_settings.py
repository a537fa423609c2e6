import json
from pathlib import Path
from shutil import copytree

import pytest

from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.settings.settings_docs import describe
from utils.CheckSettings import main

RIG = """
[Pose Estimation]
MODEL = stand-in:1
[Camera arena]
KIND = SimulatedCamera
"""


def check(folder: Path, text: str) -> int:
    file = folder / "settings.ini"
    file.write_text(text, encoding="utf-8")
    return main([str(file)])


def test_right_settings_are_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, RIG) == 0
    assert "no problems" in capsys.readouterr().out


def test_the_file_may_be_named_by_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.ini"
    file.write_text(RIG, encoding="utf-8")
    assert main(["--settings", str(file)]) == 0
    assert f"{file}: no problems" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(file), "--settings", str(file)])
    assert "name the settings file once" in capsys.readouterr().err


def test_every_problem_has_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, RIG + "RATE = fast\n[Video]\nSOURCE = a.mp4") == 1
    assert capsys.readouterr().out.splitlines() == [
        "[Video] SOURCE = a.mp4: unknown; did you mean VIDEO_SOURCE?",
        "[Camera arena] RATE = fast: expected a number",
    ]


def test_a_network_that_is_not_there_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, RIG.replace("stand-in:1", "nowhere")) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("[Pose Estimation] MODEL = nowhere: ")


def test_networks_of_cameras_and_the_detector_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "[Pose Estimation]\nMODEL = arena\nLIVE_CROP = yes\nDETECTOR = none\n"
        "[Camera top]\nKIND = SimulatedCamera\n"
        "[Camera side]\nKIND = SimulatedCamera\nMODEL = nowhere\n"
        "[Camera back]\nKIND = SimulatedCamera\nMODEL = openfield\n"
    )
    assert check(tmp_path, text) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "[Pose Estimation] DETECTOR = none",
        "[Camera side] MODEL = nowhere",
    ]
    other = tmp_path / "other"
    copytree(find_model("openfield"), other)
    facts = json.loads((other / "model.json").read_text("utf-8"))
    facts["skeleton"] = {"bodyparts": ["nose", "a", "b", "c"], "bones": []}
    (other / "model.json").write_text(json.dumps(facts), "utf-8")
    text = text.replace("DETECTOR = none\n", "").replace("nowhere", "other")
    assert check(tmp_path, text) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("[Camera side] MODEL = other: all networks of a rig need")


def test_it_writes_the_page_of_all_keys(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert main(["--describe", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == describe()


def test_body_parts_are_checked_with_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mouse = RIG.replace("stand-in:1", "openfield") + (
        "[Trigger t]\nKIND = Speed\nSPEED = 5\nBODYPARTS = snout, tailbse\n"
    )
    assert check(tmp_path, mouse) == 1
    assert capsys.readouterr().out.splitlines() == [
        "[Trigger t] BODYPARTS: the network has no body part 'tailbse'; "
        "did you mean tailbase?"
    ]


def test_a_package_that_is_missing_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "deeplabstream.engine.checks.settings_check.find_spec", lambda name: None
    )
    events = "[Output events]\nKIND = ZmqEvents\nPORT = 4000"
    assert check(tmp_path, RIG + events) == 1
    said = capsys.readouterr().out.strip()
    assert said == "[Output events] needs the package 'zmq': pip install pyzmq"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MODEL = stand-in:1", f"MODEL = {'a' * 300}"),
        ("[Camera arena]", f"[Classifier x]\nFOLDER = {'a' * 300}\n[Camera arena]"),
    ],
)
def test_a_name_that_is_too_long_for_a_folder_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    assert check(tmp_path, RIG.replace(old, new)) == 1
    (problem,) = capsys.readouterr().out.splitlines()
    assert problem.startswith("[")
