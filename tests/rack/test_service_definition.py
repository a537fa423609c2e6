"""Services that start a rack or a rig: their files, and the program that writes them."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.programs.write_service import PROGRAM, defined
from deeplabstream.rack.service_definition import ServiceDefinition

TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
ODD = "100 % of $HOME \"mice\" \\ 'cats' & <dogs>"


@pytest.fixture
def rack(tmp_path: Path) -> Path:
    """Return a rack file in a folder whose name needs quotes."""
    folder = tmp_path / "night & day 100%"
    folder.mkdir()
    (folder / "left.ini").write_text("[Camera top]\nKIND = SimulatedCamera\n")
    file = folder / "rack.ini"
    file.write_text("[Box left]\nRIG = left.ini\n")
    return file


def service(
    words: Sequence[str] = (), folder: Path = Path("/tmp")
) -> ServiceDefinition:
    return ServiceDefinition("deeplabstream-x", "DeepLabStream: rack x", words, folder)


def test_a_rack_is_run_by_the_rack_and_a_rig_by_its_experiment(rack: Path) -> None:
    words = defined(rack).command
    assert words[0] == sys.executable
    assert words[1].endswith("RunRack.py")
    assert words[2:] == [str(rack), "--headless", "--resume"]
    rig = defined(rack.with_name("left.ini"))
    assert rig.name == "deeplabstream-left"
    assert rig.command[-4:] == [
        "--settings", str(rack.with_name("left.ini")), "--experiment", "--headless",
    ]  # fmt: skip


def test_a_rig_folder_gives_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "rig 1"
    folder.mkdir()
    (folder / "settings.ini").write_text("[Camera top]\nKIND = SimulatedCamera\n")
    assert defined(folder).name == "deeplabstream-rig-1"
    assert defined(folder).folder == folder


def test_a_file_that_does_not_exist_has_no_service(tmp_path: Path) -> None:
    with pytest.raises(DeepLabStreamError, match=r"none\.ini does not exist"):
        defined(tmp_path / "none.ini")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)
def test_systemd_accepts_the_unit_also_with_odd_paths(
    tmp_path: Path, rack: Path
) -> None:
    for number, definition in enumerate(
        [defined(rack), service([sys.executable, ODD], rack.parent)]
    ):
        unit = tmp_path / f"deeplabstream-{number}.service"
        unit.write_text(definition.systemd_unit(), "utf-8")
        found = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(unit)],
            capture_output=True,
            text=True,
            timeout=60,
            env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert unit.name not in found.stderr, found.stderr


def test_nothing_in_a_unit_is_replaced_by_systemd() -> None:
    (line,) = (
        line
        for line in service(["/bin/python", ODD]).systemd_unit().splitlines()
        if line.startswith("ExecStart=")
    )
    assert line == (
        'ExecStart="/bin/python" "100 %% of $$HOME \\"mice\\" \\\\ \'cats\' & <dogs>"'
    )


def test_systemd_kills_no_guard_and_no_sender_when_the_main_process_has_ended() -> None:
    lines = service(["/bin/python"]).systemd_unit().splitlines()
    assert "KillMode=process" in lines
    assert "OOMPolicy=continue" in lines


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(DeepLabStreamError, match="rename the file"):
        service(["/bin/python", "a\nExecStart=/bin/false"])


def test_the_windows_task_starts_the_same_command_with_the_computer() -> None:
    root = ET.fromstring(
        service(["C:\\python.exe", "a b", ODD])
        .windows_task("LAB\\Ann & Bob")
        .replace('encoding="UTF-16"', "")
    )
    assert root.find(f".//{TASK}BootTrigger") is not None
    texts = {
        name: root.findtext(f".//{TASK}{name}")
        for name in ("Command", "Arguments", "UserId", "ExecutionTimeLimit")
    }
    assert texts == {
        "Command": "C:\\python.exe",
        "Arguments": subprocess.list2cmdline(["a b", ODD]),
        "UserId": "LAB\\Ann & Bob",
        "ExecutionTimeLimit": "PT0S",
    }


def test_the_program_prints_a_unit_and_how_to_install_it(
    rack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.main([str(rack), "--system", "systemd"]) == 0
    printed = capsys.readouterr()
    assert printed.out == defined(rack).systemd_unit() + "\n"
    assert "systemctl --user enable --now deeplabstream-rack" in printed.err
    assert "loginctl enable-linger" in printed.err


def test_the_program_writes_a_task_in_the_encoding_that_it_names(
    rack: Path, tmp_path: Path
) -> None:
    file = tmp_path / "task.xml"
    words = [str(rack), "--system", "windows", "--output", str(file)]
    assert PROGRAM.main(words) == 0
    assert ET.parse(file).getroot().tag == f"{TASK}Task"
    assert PROGRAM.main(words) != 0, "an existing file is kept"
    assert PROGRAM.main([*words, "--overwrite"]) == 0


def test_a_windows_task_is_not_printed(rack: Path) -> None:
    with pytest.raises(SystemExit):
        PROGRAM.main([str(rack), "--system", "windows"])
