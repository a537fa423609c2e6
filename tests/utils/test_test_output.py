from pathlib import Path

import pytest

from tests.engine.patient_guards import use_patient_guards_of_output_tests
from utils.TestOutput import main

RIG = """
[Camera arena]
KIND = SimulatedCamera
[Output lamp]
KIND = SimulatedOutput
[Output laser]
KIND = SerialLine
PORT = COM99
"""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    use_patient_guards_of_output_tests(monkeypatch)
    file = tmp_path / "rig.ini"
    file.write_text(RIG, "utf-8")
    return str(file)


def test_outputs_are_listed(rig: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--settings", rig]) == 0
    names = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert names == [["lamp:", "SimulatedOutput"], ["laser:", "SerialLine"]]


def test_what_was_written_is_told(rig: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lamp", "--seconds", "0.05", "--settings", rig]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  (")[0].split("ms  ")[-1] for line in lines] == [
        "lamp = 0",
        "lamp = 1",
        "lamp = 0",
        "lamp = 0",
        "lamp: was on, and is off again",
    ]


def test_an_output_that_fails_is_told(
    rig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["laser", "--settings", rig]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("[Output laser] COM99 can't be opened")
    assert last == "laser: FAILED"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lump"], "no section [Output lump]; did you mean lamp?"),
        (["lamp", "--seconds", "60"], "--seconds = '60': expected 5 or less"),
        (["lamp", "--seconds", "0"], "--seconds = '0': must be above 0"),
        (["lamp", "--level", "2"], "--level = '2': expected 1 or less"),
    ],
)
def test_nonsense_is_a_sentence(
    rig: str, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([*words, "--settings", rig])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2
    assert capsys.readouterr().err.strip().endswith(sentence)
