"""A ready-made experiment on a lab's own rig."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.ready_made import CONFIGS, combine_with_rig, find, load_with

RIG = """\
# The rig of room 3.
[Streaming]
OUTPUT_DIRECTORY = runs

[Pose Estimation]
MODEL = stand-in:0

[Experiment]
EXP_NAME = old
# We are patient.
PATIENCE_S =
    0.7
EXP_TIME_S = 5

# Above the arena.
[Camera top]
KIND = SimulatedCamera

[Trigger zone]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 60 30 25

[Trigger in the corner]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 1 2 3

[Output stimulus]
KIND = SerialLine
PORT = COM3

[Experiment old]
KIND = Conditional
TRIGGER = zone
OUTPUT = stimulus
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    path = tmp_path / "settings.ini"
    path.write_text(RIG, "utf-8")
    return path


def test_the_rig_stays_and_the_experiment_comes(rig: Path) -> None:
    found = load_with(rig, "conditional")
    ready_made = parse((CONFIGS / "conditional.ini").read_text("utf-8"), CONFIGS)
    assert list(found.cameras) == ["top"]
    assert found.model == "stand-in:0"
    assert type(found.outputs["stimulus"]).__name__ == "SerialLine"
    assert list(found.triggers) == ["zone", "in the corner"]
    assert found.triggers["in the corner"]() == ready_made.triggers["in the corner"]()
    assert found.new_experiment() == ready_made.new_experiment()
    assert found.experiment.exp_name == "conditional"
    assert found.experiment.exp_time_s == 3600
    assert found.experiment.patience_s == 0.7
    for comment in ("# The rig of room 3.", "# We are patient.", "# Above the arena."):
        assert comment in found.text


def test_a_doubled_section_is_in_the_line_of_the_rigs_own_file(rig: Path) -> None:
    """Combined with an experiment the text has other lines."""
    rig.write_text(f"{RIG}\n[Streaming]\n", "utf-8")
    lines = rig.read_text("utf-8").splitlines()
    with pytest.raises(SettingsError) as error:
        load_with(rig, "conditional")
    assert error.value.problems == (
        f"settings.ini: line {len(lines)}: '[Streaming]' occurs twice, first in line 2",
    )


# wells need a camera above wells, rearing needs calibrated cameras
OTHER_RIGS = "wells", "rearing"
FILES = sorted(file for file in CONFIGS.glob("*.ini") if file.stem not in OTHER_RIGS)


def test_wells_are_refused_on_a_rig_without_arenas(rig: Path) -> None:
    with pytest.raises(SettingsError, match=r"no arenas; lay them out in \[Arenas\]"):
        load_with(rig, "wells")


def test_rearing_is_refused_on_a_rig_without_a_calibration(rig: Path) -> None:
    with pytest.raises(SettingsError, match=r"set CALIBRATION in \[Space\]"):
        load_with(rig, "rearing")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_ready_made_one_fits_a_rig(rig: Path, file: Path) -> None:
    found = load_with(rig, file.stem)
    expected = parse(file.read_text("utf-8"), CONFIGS)
    assert found.new_experiment() == expected.new_experiment()
    assert expected.triggers.keys() <= found.triggers.keys()
    assert found.outputs.keys() == {"stimulus", *expected.outputs}
    assert load_with(rig).experiment.exp_name == "old"


def test_what_is_joined_twice_is_the_same() -> None:
    text = (CONFIGS / "stages.ini").read_text("utf-8")
    once = combine_with_rig(RIG, text)
    assert combine_with_rig(once, text) == once


@pytest.mark.parametrize("indent", ["", "    "])
def test_what_only_the_rig_says_of_an_experiment_stays(indent: str) -> None:
    rig = RIG.replace(
        "EXP_TIME_S = 5\n",
        "EXP_TIME_S = 5\nLOST_MS = 120\n\n# Set by Anna.\nRECORD_EXP =\n    no\n"
        "# RECORD_EXP = yes\n; Ask Bob.\n",
    )
    lines = rig.split("\n")
    first, end = lines.index("[Experiment]") + 1, lines.index("# Above the arena.")
    lines[first:end] = [f"{indent}{line}".rstrip() for line in lines[first:end]]
    rig = "\n".join(lines)
    before = read_sections(rig).texts["Experiment"]
    text = (CONFIGS / "conditional.ini").read_text("utf-8")
    found = combine_with_rig(rig, text)
    assert read_sections(found).texts["Experiment"] == {
        **before,
        **read_sections(text).texts["Experiment"],
    }
    for comment in ("# Set by Anna.", "# RECORD_EXP = yes", "; Ask Bob."):
        assert found.count(comment) == 1
    assert combine_with_rig(found, text) == found


def test_one_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean conditional"):
        find("condtional")
