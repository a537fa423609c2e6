"""Progress of an animal from one session to the next, on two rigs that share a folder."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from deeplabstream.core.command import Mark
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.animal_progress import AnimalProgress
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.recording.animal_file import animal_file, read_animal
from deeplabstream.settings.loading import parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.stream import step

RIG = """
[Session]
ANIMAL = m1
PROGRESS_FOLDER = animals
[Camera top]
KIND = SimulatedCamera
[Trigger corner]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 0 0 9
[Output feeder]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = shaping
[Experiment shaping]
KIND = Stages
STAGES = corner, corner, corner
REWARD = feeder
"""


class Rig:
    """A session without processes, whose experiment writes marks."""

    def __init__(self, folder: Path, text: str = RIG) -> None:
        self.fake = FakeProcesses()
        self.session: RigSession = session_of(self.fake, folder, text)
        self.session.do(Action.START_STREAM)
        self.news = [*self.session.poll()]

    @property
    def refused(self) -> list[str]:
        return [news.text for news in self.news if isinstance(news, Failed)]

    @property
    def used_text(self) -> str:
        used = self.session.state.used_settings
        assert used is not None
        return used.text

    def about(self) -> str:
        (text,) = (
            news.text
            for news in self.news
            if isinstance(news, Note) and news.kind == "animal"
        )
        return text

    def mark(self, *texts: str) -> None:
        marks = tuple(Mark(text) for text in texts)
        self.fake.entries.append(replace(step(1), commands=marks))
        self.news += self.session.poll()


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator["Opened"]:
    with ExitStack() as ends:
        yield Opened(tmp_path, ends)


class Opened:
    """Opens rigs that use the same folder of animals."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        self.folder, self._ends = folder, ends

    def open(self, text: str = RIG) -> Rig:
        rig = Rig(self.folder, text)
        self._ends.callback(rig.session.close)
        return rig

    def values(self) -> dict[str, str]:
        return read_animal(animal_file(self.folder / "animals", "m1")).values("shaping")


def test_the_next_session_begins_at_the_stage_that_the_animal_has_reached(
    rigs: Opened,
) -> None:
    first = rigs.open()
    assert first.about() == "animal m1: no progress in shaping yet"
    assert "FIRST_STAGE" not in first.used_text
    for marks in (("stage 1",), ("stage 2",), ("stage 3", "anything"), ()):
        first.mark(*marks)
    first.mark("back to stage 2")
    first.session.close()

    second = rigs.open()
    about = "animal m1: shaping goes on with FIRST_STAGE = 2, reached on "
    assert second.about().startswith(about)
    assert "FIRST_STAGE = 2" in second.used_text
    assert "FIRST_STAGE" not in second.session.settings.text
    assert rigs.values() == {"FIRST_STAGE": "2"}


def test_the_record_names_the_progress_and_the_run_in_which_it_was_made(
    rigs: Opened, tmp_path: Path
) -> None:
    first = rigs.open()
    first.fake.report(messages.RunOpened(tmp_path / "run 1"))
    first.mark()
    first.mark("stage 2")
    first.session.close()

    second = rigs.open()
    second.fake.report(messages.RunOpened(tmp_path / "run 2"))
    second.mark()
    written = [
        message.note.text
        for message in second.fake.recorder
        if isinstance(message, messages.WriteNote) and message.note.kind == "animal"
    ]
    assert len(written) == 1
    assert written[0].endswith(f" in {tmp_path / 'run 1'}")


def test_an_animal_that_is_in_a_run_is_refused_by_another_until_it_ends(
    rigs: Opened,
) -> None:
    first = rigs.open()
    second = rigs.open()
    assert len(second.refused) == 1
    assert "m1 is in another run" in second.refused[0]
    assert rigs.open(RIG.replace("ANIMAL = m1", "ANIMAL = m2")).refused == []
    first.session.close()
    assert rigs.open().refused == []


def test_a_damaged_file_refuses_the_run_instead_of_repeating_stages(
    rigs: Opened,
) -> None:
    rigs.open().session.close()
    file = animal_file(rigs.folder / "animals", "m1")
    file.write_text("{")
    assert "can't be read" in rigs.open().refused[0]
    assert file.read_text() == "{"


def test_a_stage_that_the_experiment_no_longer_has_is_refused(rigs: Opened) -> None:
    first = rigs.open()
    first.mark("stage 3")
    first.session.close()
    fewer = RIG.replace("corner, corner, corner", "corner, corner")
    assert "FIRST_STAGE = 3: there are 2 STAGES" in rigs.open(fewer).refused[0]


def test_the_animal_can_not_be_changed_while_its_progress_is_kept(
    rigs: Opened,
) -> None:
    rig = rigs.open()
    assert {"animal", "progress_folder"} <= rig.session.fixed_subject
    rig.session.close()
    assert rig.session.fixed_subject == frozenset()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"stage \d+", "has no group for the value; put it in parentheses"),
        (r"stage (\d+", "is not a regular expression (missing ), "),
    ],
)
def test_a_pattern_that_gives_no_value_is_refused(
    tmp_path: Path, pattern: str, expected: str
) -> None:
    rig = parse(RIG, tmp_path)
    maker = rig.experiments["shaping"]
    kind = type("Wrong", (maker.kind,), {"progress": {"first_stage": pattern}})
    wrong = replace(rig, experiments={"shaping": replace(maker, kind=kind)})
    with pytest.raises(SettingsError) as raised:
        AnimalProgress().open(wrong)
    (said,) = raised.value.problems
    assert said.startswith("[Experiment shaping] progress of FIRST_STAGE: 'stage ")
    assert expected in said


def test_a_mark_without_the_value_changes_nothing(tmp_path: Path) -> None:
    rig = parse(RIG, tmp_path)
    maker = rig.experiments["shaping"]
    pattern = {"first_stage": r"stage (\d+)|break"}
    kind = type("Pausing", (maker.kind,), {"progress": pattern})
    progress = AnimalProgress()
    progress.open(replace(rig, experiments={"shaping": replace(maker, kind=kind)}))
    for mark in ("stage 2", "break"):
        marks = replace(step(1), commands=(Mark(mark),))
        progress.receive(marks, None, datetime.now().astimezone())
    progress.close()
    kept = read_animal(animal_file(tmp_path / "animals", "m1"))
    assert kept.values("shaping") == {"FIRST_STAGE": "2"}


def test_progress_of_animals_in_arenas_is_refused(tmp_path: Path) -> None:
    arenas = (
        "[Arenas]\nROWS = 1\nCOLUMNS = 1\nCORNERS = 50 50, 50 50\nSHAPE = circle 9\n"
    )
    text = RIG.replace("[Output feeder]", f"{arenas}[Output feeder.A1]")
    with pytest.raises(SettingsError, match=r"^\[Session\] PROGRESS_FOLDER: the prog"):
        parse(text, tmp_path)
    without = text.replace("PROGRESS_FOLDER = animals\n", "")
    assert [*parse(without, tmp_path).arenas] == ["A1"]


def test_nothing_is_kept_without_a_folder(rigs: Opened) -> None:
    rig = rigs.open(RIG.replace("PROGRESS_FOLDER = animals\n", ""))
    rig.mark("stage 2")
    assert rig.refused == []
    assert not (rigs.folder / "animals").exists()
