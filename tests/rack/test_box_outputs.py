"""Outputs of a box that are read ahead, and again after a change of a file they came from."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deeplabstream.files import plugin_trust
from deeplabstream.plugins.output import Output
from deeplabstream.rack.box_outputs import BoxOutputs
from deeplabstream.settings.rack_file import BoxSection, RackBox
from deeplabstream.settings.sections import Settings

CAMERA = "[Camera top]\nKIND = SimulatedCamera\n"
LASER = "[Output laser]\nKIND = SerialLine\nPORT = {}\n"
PLUGIN = '''
from pydantic.dataclasses import dataclass
from deeplabstream.plugins.output import Output

@dataclass(frozen=True, kw_only=True)
class Lamp(Output):
    """A lamp."""

    watt: int = {watt}

    def opened(self):
        raise NotImplementedError
'''


@dataclass(frozen=True)
class CountingBox(RackBox):
    """A box that counts how often its settings are read."""

    reads: list[int] = field(default_factory=list)

    def settings(self) -> Settings:
        self.reads.append(len(self.reads))
        return super().settings()


class Rig:
    """A rig of one box."""

    def __init__(self, folder: Path) -> None:
        self.file, self.folder = folder / "settings.ini", folder
        self.write(CAMERA + LASER.format("COM1"))
        self.box = CountingBox("left", BoxSection(rig=folder), {})
        self.outputs = BoxOutputs(self.box)

    def write(self, text: str) -> None:
        self.file.write_text(text, "utf-8")

    def write_plugin(self, watt: int) -> None:
        file = self.folder / "outputs" / "lamp.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(PLUGIN.format(watt=watt), "utf-8")

    @property
    def reads(self) -> int:
        return len(self.box.reads)

    def output(self, name: str) -> Output:
        return self.outputs.read()[name]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_outputs_that_were_read_ahead_are_not_read_at_a_start(rig: Rig) -> None:
    for _ in range(3):
        rig.outputs.read_ahead()
    assert rig.reads == 1
    assert [*rig.outputs.read()] == ["laser"]
    assert rig.reads == 1


def test_changed_settings_are_read_at_the_next_start(rig: Rig) -> None:
    before = rig.output("laser")
    rig.write(CAMERA + LASER.format("COM17"))
    after = rig.output("laser")
    assert (rig.reads, str(before) == str(after)) == (2, False)

    # another text of the same size, as of an editor that saves in place
    stat = rig.file.stat()
    rig.write(CAMERA + LASER.format("COM18"))
    os.utime(rig.file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert "COM18" in str(rig.output("laser"))
    rig.write(CAMERA)
    assert (dict(rig.outputs.read()), rig.reads) == ({}, 4)


def test_changed_plug_ins_of_the_rig_are_read_again(rig: Rig) -> None:
    rig.write_plugin(watt=5)
    rig.write(CAMERA + "[Output house]\nKIND = Lamp\n")
    assert "watt=5" in str(rig.output("house"))
    assert "watt=5" in str(rig.output("house"))
    rig.write_plugin(watt=60)
    rig.outputs.read_ahead()
    assert "watt=60" in str(rig.output("house"))
    assert rig.reads == 2


def test_bad_settings_are_tried_ahead_once_and_read_again_at_each_start(
    rig: Rig,
) -> None:
    rig.outputs.read_ahead()
    rig.write("[Output laser]\nKIND = Nothing\n")
    for _ in range(3):
        rig.outputs.read_ahead()
    assert rig.reads == 2
    assert (dict(rig.outputs.read()), rig.reads) == ({}, 3)
    rig.file.unlink()
    assert (dict(rig.outputs.read()), rig.reads) == ({}, 4)
    rig.write(CAMERA + LASER.format("COM1"))
    rig.outputs.read_ahead()
    assert [*rig.outputs.read()] == ["laser"]


def test_plug_ins_that_are_not_confirmed_are_not_asked_about_ahead(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(plugin_trust.VARIABLE, "")
    rig.write_plugin(watt=5)
    asked: list[str] = []
    monkeypatch.setattr(plugin_trust.TRUST, "show", lambda it: bool(asked.append(it)))
    rig.outputs.read_ahead()
    assert (rig.reads, asked) == (0, [])
    assert (dict(rig.outputs.read()), len(asked)) == ({}, 1)


def test_outputs_that_were_used_are_read_again(rig: Rig) -> None:
    used = rig.output("laser")
    rig.outputs.discard()
    assert rig.output("laser") is not used
