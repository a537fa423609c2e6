import os
import shutil
from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.files import rig_folder
from deeplabstream.programs.run_rack import RackOptions, run_headless_rack
from deeplabstream.rack.rack_check import check_box, checked_rigs, rack_problems
from deeplabstream.settings.rack_file import is_rack_file, load_rack, threads_of_box
from utils.CheckSettings import main

RIG = """
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = light
[Camera arena]
KIND = SimulatedCamera
[Trigger corner]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 10 20 30
[Output laser]
{output}
[Experiment light]
KIND = Conditional
TRIGGER = corner
OUTPUT = laser
[Session]
# kept
ANIMAL = of the rig
"""
VIRTUAL = "KIND = SimulatedOutput"
BOXES = """
[Box left]
RIG = left
ANIMAL = m1
OUTPUT_DIRECTORY = runs/left
[Box right]
RIG = right/settings.ini
"""


def rack(folder: Path, left: str = VIRTUAL, right: str = VIRTUAL) -> Path:
    for name, output in (("left", left), ("right", right)):
        (folder / name).mkdir()
        (folder / name / "settings.ini").write_text(RIG.format(output=output), "utf-8")
    return rack_file(folder, BOXES)


def rack_file(folder: Path, text: str) -> Path:
    file = folder / "rack.ini"
    file.write_text(text, "utf-8")
    return file


def test_a_box_is_its_rig_with_subject_and_folder_of_the_rack_file(
    tmp_path: Path,
) -> None:
    rigs = checked_rigs(load_rack(rack(tmp_path)))
    assert rigs["left"].subject.animal == "m1"
    assert rigs["left"].output_directory == (tmp_path / "runs/left").resolve()
    assert "# kept\nANIMAL = m1" in rigs["left"].text
    assert rigs["right"].subject.animal == "of the rig"
    assert rigs["right"].output_directory == (tmp_path / "right/output").resolve()


def test_the_networks_of_boxes_share_the_cores_unless_a_rig_says_otherwise(
    tmp_path: Path,
) -> None:
    file = rack(tmp_path)
    rig = tmp_path / "right/settings.ini"
    text = rig.read_text("utf-8")
    rig.write_text(text.replace("stand-in:0", "stand-in:0\nTHREADS = 3"), "utf-8")

    rigs = checked_rigs(load_rack(file))
    assert rigs["left"].pose.threads == threads_of_box(2) > 0
    assert f"THREADS = {threads_of_box(2)}" in rigs["left"].text
    assert rigs["right"].pose.threads == 3

    (box,) = load_rack(rack_file(tmp_path, "[Box left]\nRIG = left\n")).boxes.values()
    assert box.settings().pose.threads == 0


def test_the_rig_in_use_is_the_one_before_after_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(rig_folder.VARIABLE, raising=False)
    assert rack_problems(rack(tmp_path)) == []
    assert rig_folder.VARIABLE not in os.environ


SERIAL = "KIND = SerialLine\nPORT = {}"


@pytest.mark.parametrize(
    ("left", "right", "device"),
    [
        (SERIAL.format("COM3"), SERIAL.format("COM3"), "serial port COM3"),
        (
            "KIND = NiDigital\nLINE = Dev1/port0/line1",
            "KIND = NiDigital\nLINE = Dev1/port0/line1",
            "NI line Dev1/port0/line1",
        ),
        (
            "KIND = RaspberryPin\nPIN = 17",
            "KIND = RaspberryPin\nPIN = 17\nPWM = yes",
            "Raspberry Pi pin 17",
        ),
        (
            "KIND = Sound\nSIDE = left",
            "KIND = Sound",
            "sound channel default left",
        ),
        (
            "KIND = BoardPin\nPORT = COM4\nPIN = 3",
            "KIND = BoardPin\nPORT = COM4\nPIN = 5",
            "serial port COM4",
        ),
    ],
)
def test_an_output_of_two_boxes_is_refused_with_both_names(
    tmp_path: Path, left: str, right: str, device: str
) -> None:
    problems = rack_problems(rack(tmp_path, left, right))
    (shared,) = (text for text in problems if "use the same" in text)
    assert shared.startswith("[Box left] [Output laser] and [Box right] [Output laser]")
    assert device.casefold() in shared.casefold()


def test_different_lines_of_a_card_are_different_devices(tmp_path: Path) -> None:
    line = "KIND = NiDigital\nLINE = Dev1/port0/line{}"
    problems = rack_problems(rack(tmp_path, line.format(1), line.format(2)))
    assert not [text for text in problems if "use the same" in text]


@pytest.mark.skipif(os.name == "nt", reason="links need a permission on Windows")
def test_two_names_of_a_serial_port_are_the_same_port(tmp_path: Path) -> None:
    port, link = tmp_path / "ttyACM0", tmp_path / "by-id"
    port.touch()
    link.symlink_to(port)
    file = rack(tmp_path, SERIAL.format(port), SERIAL.format(link))
    (shared,) = rack_problems(file)
    assert shared.endswith(f"the same serial port {port}: each box needs its own")


@pytest.mark.parametrize(
    ("camera", "same"),
    [
        ("KIND = Webcam\nSOURCE = 1", "webcam"),
        ("KIND = Basler\nSERIAL = 21234567", "Basler camera 21234567"),
        ("KIND = GenICam", "GenICam camera without serial"),
        ("KIND = RealSense\nSERIAL = 8", "RealSense 8"),
        ("KIND = NetworkStream\nURL = rtsp://me:word@cam/1", "rtsp://cam/1"),
        ("KIND = ZmqCamera", "TCP port 5555"),
    ],
)
def test_a_camera_of_two_boxes_is_refused(
    tmp_path: Path, camera: str, same: str
) -> None:
    file = rack(tmp_path)
    for name in ("left", "right"):
        rig = tmp_path / name / "settings.ini"
        rig.write_text(rig.read_text("utf-8").replace("KIND = SimulatedCamera", camera))
    (shared,) = (text for text in rack_problems(file) if "use the same" in text)
    assert "[Camera arena]" in shared
    assert same.casefold() in shared.casefold()


def test_simulated_devices_and_one_rig_for_several_boxes_are_no_problem(
    tmp_path: Path,
) -> None:
    rack(tmp_path)
    boxes = "".join(
        f"[Box {name}]\nRIG = left\nOUTPUT_DIRECTORY = runs/{name}\n" for name in "abc"
    )
    assert rack_problems(rack_file(tmp_path, boxes)) == []


def test_one_folder_of_runs_for_two_boxes_is_refused(tmp_path: Path) -> None:
    rack(tmp_path)
    file = rack_file(tmp_path, "[Box a]\nRIG = left\n[Box b]\nRIG = left\n")
    (shared,) = rack_problems(file)
    assert "[Box a] [Streaming] OUTPUT_DIRECTORY and [Box b]" in shared
    assert "the same output folder" in shared


def test_a_box_is_not_started_with_the_device_of_another(tmp_path: Path) -> None:
    file = rack(tmp_path, SERIAL.format("COM3"), SERIAL.format("COM3"))
    third = tmp_path / "third"
    shutil.copytree(tmp_path / "right", third)
    text = (third / "settings.ini").read_text("utf-8")
    (third / "settings.ini").write_text(text.replace("COM3", "COM4"), "utf-8")
    rack_file(tmp_path, f"{BOXES}[Box third]\nRIG = third\n")

    check_box(load_rack(file), "third")
    for name in ("left", "right"):
        with pytest.raises(SettingsError, match="use the same serial port COM3"):
            check_box(load_rack(file), name)
    with pytest.raises(SettingsError, match="use the same serial port COM3"):
        run_headless_rack(RackOptions(file=file, box="left"))


def test_every_problem_names_its_box(tmp_path: Path) -> None:
    file = rack(tmp_path, "KIND = SimulatedOuput")
    right = tmp_path / "right/settings.ini"
    right.write_text(right.read_text("utf-8").replace("EXP_NAME = light", ""))
    left, no_experiment = rack_problems(file)
    assert left.startswith(
        f"[Box left] {Path('left/settings.ini')}: [Output laser] KIND = SimulatedOuput"
    )
    assert no_experiment.startswith("[Box right]")
    assert "EXP_NAME: no experiment chosen" in no_experiment


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[Box a]\n", "[Box a] RIG: is missing"),
        ("[Box a]\nRIG = nowhere", "nowhere: does not exist"),
        ("[Box a]\nRIG = .", "has no settings.ini"),
        ("[Box a]\nRIG", "line 2: 'RIG' is not KEY = value"),
        ("[Box a]\nRIG = left\nSEX = x", "[Box a] SEX = x: expected one of"),
        ("[Box a/b]\nRIG = left", "[Box a/b]: NAME may contain letters"),
        ("[Box a]\nRIG = left\n[Boxes]", "[Boxes]: unknown section"),
        ("[Box a]\nRUG = left", "[Box a] RUG = left: unknown; did you mean RIG?"),
    ],
)
def test_a_wrong_rack_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    rack(tmp_path)
    assert any(problem in found for found in rack_problems(rack_file(tmp_path, text)))


def test_check_tells_a_rack_file_from_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = rack(tmp_path)
    assert is_rack_file(file)
    assert not is_rack_file(tmp_path / "left/settings.ini")
    assert not is_rack_file(tmp_path / "missing.ini")
    assert main([str(file)]) == 0
    assert "boxes: left, right" in capsys.readouterr().out
    rack_file(
        tmp_path, f"{BOXES}\n[Box third]\nRIG = left\nOUTPUT_DIRECTORY = runs/left"
    )
    assert main([str(file)]) == 1
    assert "[Box left] [Streaming] OUTPUT_DIRECTORY and [Box third]" in (
        capsys.readouterr().out
    )


def test_settings_with_a_box_name_the_rack_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.ini"
    file.touch()
    assert not is_rack_file(file)
    file.write_text(RIG.format(output=VIRTUAL) + "[Box a]\nRIG = left\n", "utf-8")
    assert not is_rack_file(file)
    rack_file(tmp_path, "[Box b]\nRIG = .\n")
    assert any(
        "belongs in a rack file" in t for t in rack_problems(tmp_path / "rack.ini")
    )
