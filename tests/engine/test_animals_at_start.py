"""An experiment with several animals starts when it is known which look alike, or after a limit."""

from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.checks.animal_appearance import unknown_appearance
from deeplabstream.engine.checks.preflight import inspect
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Counts, Phase
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.settings.loading import parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import RIG
from tests.gui.fake_session import SKELETON, FakeSession

ANIMALS = "\n[Animals]\nNAMES = anna, bob\nAPPEARANCE_WAIT_S = {}\n"
RECORDED = "\n[Experiment]\nEXP_NAME = light\nRECORD_EXP = no\n"
RUNS = messages.RunExperiment(True)


class Rig:
    """A session whose experiment on two animals was requested."""

    def __init__(self, folder: Path, wait_s: float = 30.0, more: str = "") -> None:
        self.clock, self.fake = ManualClock(), FakeProcesses()
        text = RIG.replace("snout, tail", "snout") + RECORDED + ANIMALS.format(wait_s)
        self.session = session_of(self.fake, folder, text + more, self.clock, _notes)
        self.session.do(Action.START_STREAM)
        network = FakeSession("arena").state.network
        assert network is not None
        network = replace(network, skeleton=_named("anna", "bob"))
        self.session.state = replace(
            self.session.state,
            phase=Phase.STREAMING,
            network=network,
            network_ready=True,
            analysing=True,
            formats={"arena": ImageFormat((480, 640), 30.0)},
            counts={"arena": Counts()},
        )
        self.session.do(Action.START_EXPERIMENT)
        self.fake.report(messages.DevicesOpened())
        self.poll()

    def poll(self) -> None:
        self.session.poll()

    def learn(self, alike: bool) -> None:
        pairs = ((0, 1),) if alike else ()
        known = Distinctness(pairs, ())
        self.fake.report(messages.AnimalsDistinct("arena", known))
        self.poll()
        self.poll()

    @property
    def runs(self) -> bool:
        return RUNS in self.fake.engine

    @property
    def notes(self) -> list[str]:
        sent = [getattr(it, "note", None) for it in self.fake.recorder]
        return [it.text for it in sent if isinstance(it, Note)]


def _named(*names: str):  # type: ignore[no-untyped-def]
    return replace(SKELETON, animals=names)


def _notes(settings, state):  # type: ignore[no-untyped-def]
    return [it for it in inspect(settings, state) if "look" in it.text]


@pytest.mark.parametrize("alike", [True, False])
def test_what_is_known_of_the_animals_is_said_before_the_experiment_begins(
    tmp_path: Path, alike: bool
) -> None:
    rig = Rig(tmp_path)
    assert rig.session.state.experiment_starting
    assert "which animals look alike" in rig.session.state.animals_unknown
    assert not rig.runs
    rig.clock.set(29_000_000_000)
    rig.poll()
    assert not rig.runs
    rig.learn(alike)
    assert rig.runs
    assert not rig.session.state.animals_unknown
    said = "anna and bob look alike" if alike else "anna and bob look different"
    assert any(said in text for text in rig.notes)
    assert "waits 30 s at most" in str(rig.notes)


def test_after_the_limit_it_begins_with_a_warning(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.clock.set(30_000_000_000)
    rig.poll()
    rig.poll()
    assert rig.runs
    assert any("is not learned yet" in text for text in rig.notes)


def test_without_a_limit_it_does_not_wait(tmp_path: Path) -> None:
    rig = Rig(tmp_path, wait_s=0)
    rig.poll()
    assert rig.runs


@pytest.mark.parametrize("action", [Action.STOP_EXPERIMENT, Action.STOP_STREAM])
def test_a_stop_ends_the_wait(tmp_path: Path, action: Action) -> None:
    rig = Rig(tmp_path)
    rig.session.do(action)
    assert not rig.session.state.animals_unknown
    rig.learn(alike=False)
    assert not rig.runs


def test_coats_of_an_earlier_run_and_a_single_animal_need_no_wait(
    tmp_path: Path,
) -> None:
    fake = FakeSession("arena")
    text = RIG + ANIMALS.format(30)
    settings = parse(text, tmp_path)
    fake.update(skeleton=_named("anna", "bob"))
    assert unknown_appearance(settings, fake.state)
    coats = "COATS = anna@arena: 10 20 30, bob@arena: 110 120 130\n"
    remembered = text + "REMEMBER = yes\n" + coats
    progress = "[Session]\nPROGRESS_FOLDER = animals\n"
    known = replace(fake.state, used_settings=parse(remembered + progress, tmp_path))
    assert not unknown_appearance(settings, known)
    fake.update(skeleton=_named("anna"))
    assert not unknown_appearance(settings, fake.state)
    assert isinstance(RigSession, type)
