"""A rack of real processes: two animals in one box, each in a run of its own."""

import json
import sys
from pathlib import Path

import pytest

from deeplabstream.rack.box_status import waiting_file
from tests.engine.tolerant import GIVE_UP_S
from tests.rack.test_rack_run import OFF, Rack, rack

__all__ = ["rack"]
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)


def test_the_next_animal_is_awaited_with_outputs_off_and_has_its_own_run(
    rack: Rack,
) -> None:
    rig = rack.file.with_name("left") / "settings.ini"
    text = rig.read_text("utf-8")
    text = text.replace("[Experiment]\n", "[Experiment]\nEXP_TIME_S = 1\n", 1)
    runs = rack.file.with_name("runs")
    rig.write_text(f"{text}[Streaming]\nOUTPUT_DIRECTORY = {runs}\n", "utf-8")
    text = rack.file.read_text("utf-8")
    keys = "RIG = left\nANIMALS = m1, m2\n"
    rack.file.write_text(text.replace("RIG = left\n", keys), "utf-8")

    rack.start("--only", "left")
    waits = "waits for m2: put it into the box, then start the box"
    rack.wait(lambda: waits in rack.told.read_text("utf-8"))
    board = rack.boards["left"]
    assert b"H" in board.listen()
    assert board.listen().endswith(OFF)
    assert rack.ended("left")
    file = waiting_file(rack.file, "left")
    rack.wait(lambda: file.exists() and file.read_text("utf-8") == waits)
    assert [animal_of(run) for run in sorted(runs.iterdir())] == ["m1"]

    board.heard = b""
    rack.type("start left")
    assert rack.running.wait(GIVE_UP_S) == 0, rack.text()
    assert b"H" in board.listen()
    assert board.listen().endswith(OFF)
    assert [animal_of(run) for run in sorted(runs.iterdir())] == ["m1", "m2"]
    assert "m2: streaming" in rack.told.read_text("utf-8")


def animal_of(run: Path) -> str:
    """Return the animal of a run by its record."""
    facts = json.loads((run / "run.json").read_text("utf-8"))
    return str(facts["session"]["animal"])
