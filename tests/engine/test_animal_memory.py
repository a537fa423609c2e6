"""Traits that animals keep in their files from one stream to the next."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.animal_memory import memory_sentences
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.recording.animal_file import animal_file, animal_in_use, read_animal
from deeplabstream.settings.loading import parse
from tests.engine.fake_processes import FakeProcesses, session_of

RIG = """
[Session]
PROGRESS_FOLDER = animals
[Animals]
NAMES = anna, bob
REMEMBER = yes
[Camera top]
KIND = SimulatedCamera
ANIMALS = 2
"""
DARK, PALE = Traits((40.5, 42.0, 45.0), 900), Traits((190.0, 200.0, 210.25), 800)
BANDED = replace(DARK, marks=(0.15, 0.15, 0.75, *[0.15] * 13), length_px=96.25)
UNBANDED = replace(DARK, marks=(0.2, 0.15, -0.125, *[0.15] * 13))
FILLED = "COATS = anna@top: 40.5 42 45, bob@top: 190 200 210.25"


def streamed(
    folder: Path, *traits: Traits, run: bool = True, text: str = RIG
) -> tuple[RigSession, list[object]]:
    """Return the session of a stream that has ended, and its news."""
    fake = FakeProcesses()
    session = session_of(fake, folder, text)
    session.do(Action.START_STREAM)
    if run:
        fake.report(messages.RunOpened(folder / "run 1"))
    if traits:
        fake.report(messages.TraitsLearned("top", traits))
    news: list[object] = [*session.poll()]
    session.close()
    return session, [*news, *session.poll()]


def used_text(session: RigSession) -> str:
    used = session.state.used_settings
    assert used is not None
    return used.text


def test_the_next_stream_has_the_coats_of_the_last_run(tmp_path: Path) -> None:
    session, news = streamed(tmp_path, DARK, PALE)
    assert "anna@top" not in used_text(session)
    notes = [it.text for it in news if isinstance(it, Note) and it.kind == "identity"]
    assert notes == [
        "[Camera top] REMEMBER: no earlier run of anna and bob, so FIRST names them"
    ]
    session, news = streamed(tmp_path)
    assert FILLED in used_text(session)
    notes = [it.text for it in news if isinstance(it, Note) and it.kind == "identity"]
    assert notes == ["[Camera top] REMEMBER: anna and bob can be recognised by coat"]
    entry = read_animal(animal_file(tmp_path / "animals", "bob")).history[-1]
    assert entry.run == str(tmp_path / "run 1")


def test_marks_and_lengths_are_kept_where_they_were_seen(tmp_path: Path) -> None:
    streamed(tmp_path, BANDED, UNBANDED)
    session, _ = streamed(tmp_path)
    text, rest = used_text(session), " 0.15" * 13
    marks = f"anna@top: 0.15 0.15 0.75{rest}, bob@top: 0.2 0.15 -0.125{rest}"
    assert f"\nTAIL_MARKS = {marks}\n" in text
    assert "\nBODY_LENGTHS = anna@top: 96.25\n" in text
    used = session.state.used_settings
    assert used is not None
    assert [*used.animals.traits_on("top").values()] == [
        replace(it, coat_views=0) for it in (BANDED, UNBANDED)
    ]


def test_a_file_of_an_earlier_version_has_coats_alone(tmp_path: Path) -> None:
    streamed(tmp_path, BANDED, PALE)
    for name in ("anna", "bob"):
        file = animal_file(tmp_path / "animals", name)
        content = json.loads(file.read_text("utf-8"))
        for entry in content["history"]:
            del entry["coat"]["marks"], entry["coat"]["length_px"]
        file.write_text(json.dumps(content), "utf-8")
    session, _ = streamed(tmp_path)
    assert FILLED in used_text(session)
    assert "anna@top" not in used_text(session).partition("TAIL_MARKS")[2]


def test_a_stream_without_a_run_is_not_remembered(tmp_path: Path) -> None:
    streamed(tmp_path, DARK, PALE, run=False)
    streamed(tmp_path)
    assert not [*tmp_path.glob("animals/*.json")]


def test_the_newest_run_with_all_animals_counts(tmp_path: Path) -> None:
    streamed(tmp_path, DARK, PALE)
    # another cage mate, in another light
    other = RIG.replace("anna, bob", "anna, carl")
    session, _ = streamed(tmp_path, Traits((60.0, 61.0, 62.0), 900), PALE, text=other)
    # carl has no run with anna yet
    assert "COATS = anna@top: 40.5 42 45\n" in used_text(session)
    session, _ = streamed(tmp_path)
    assert FILLED in used_text(session)
    session, _ = streamed(tmp_path, text=other)
    assert "COATS = anna@top: 60 61 62, carl@top: 190 200 210.25" in used_text(session)


def test_an_animal_that_another_run_uses_is_an_alarm(tmp_path: Path) -> None:
    with animal_in_use(animal_file(tmp_path / "animals", "bob")):
        _, news = streamed(tmp_path, DARK, PALE)
    reason = "were not stored: The animal bob is in another run"
    assert any(reason in it.text for it in news if isinstance(it, Failed))
    assert not [*tmp_path.glob("animals/anna.json")]


def test_a_damaged_file_of_an_animal_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "animals").mkdir()
    (tmp_path / "animals" / "bob.json").write_text("{", "utf-8")
    fake = FakeProcesses()
    session = session_of(fake, tmp_path, RIG)
    session.do(Action.START_STREAM)
    (failed,) = (news for news in session.poll() if isinstance(news, Failed))
    assert "bob.json can't be read" in failed.text


@pytest.mark.parametrize(
    ("coats", "sentence", "is_warning"),
    [
        ("", "no earlier run of anna and bob, so FIRST names them", True),
        (
            "anna@top: 1 2 3",
            "bob: no earlier run with all animals, so none is recognised; their names are "
            "unknown until you confirm them",
            True,
        ),
        (
            "anna@top: 1 2 3, bob@top: 4 5 6",
            "anna and bob look alike, so they are not recognised; their names are unknown "
            "until you confirm them",
            True,
        ),
        (
            "anna@top: 1 2 3, bob@top: 94 95 96",
            "anna and bob can be recognised by coat",
            False,
        ),
        (
            "anna@top: 1 2 3, bob@top: 1 2 3\nTAIL_MARKS = "
            f"anna@top:{' 0.15' * 16}, bob@top:{' 0.15' * 12} 0.3 0.3 0.15 0.15",
            "anna and bob look alike, so they are not recognised; their names are unknown "
            "until you confirm them",
            True,
        ),
        (
            "anna@top: 1 2 3, bob@top: 1 2 3\nTAIL_MARKS = "
            f"anna@top:{' 0.15' * 16}, bob@top:{' 0.15' * 12} 0.75 0.75 0.15 0.15",
            "anna and bob can be recognised by tail marks",
            False,
        ),
        (
            "anna@top: 1 2 3, bob@top: 1 2 3\nBODY_LENGTHS = anna@top: 80, bob@top: 110",
            "anna and bob can be recognised by body length",
            False,
        ),
        (
            "anna@top: 1 2 3 4 5 6 7 8 9, bob@top: 1 2 3",
            "coats of grey and of colour images, so none is recognised; their names are "
            "unknown until you confirm them",
            True,
        ),
        (
            "anna@side: 1 2 3, bob@side: 94 95 96",
            "no earlier run of anna and bob, so FIRST names them",
            True,
        ),
    ],
)
def test_who_can_be_recognised_is_said_before_the_start(
    coats: str, sentence: str, is_warning: bool
) -> None:
    text = RIG.replace("REMEMBER = yes", f"REMEMBER = yes\nCOATS = {coats}")
    rig = parse(text, Path.cwd())
    assert [*memory_sentences(rig, "top")] == [
        (f"[Camera top] REMEMBER: {sentence}", is_warning)
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("PROGRESS_FOLDER = animals", "", "set PROGRESS_FOLDER in [Session]"),
        ("NAMES = anna, bob\n", "", "REMEMBER: needs the names of two animals"),
        ("REMEMBER = yes", "COATS = anna 3", "expected ANIMAL@CAMERA: and 3 or 9"),
        ("REMEMBER = yes", "COATS = anna@top: 3 4", "expected ANIMAL@CAMERA: and 3 or"),
        ("REMEMBER = yes", "TAIL_MARKS = anna@top: 0.5", "16 or 48 contrasts"),
        (
            "REMEMBER = yes",
            f"TAIL_MARKS = anna@top:{' 2' * 16}",
            "16 or 48 contrasts from -1 to 1",
        ),
        ("REMEMBER = yes", "BODY_LENGTHS = anna@top: 0", "a length in px above 0"),
    ],
)
def test_what_remember_lacks_is_a_sentence(old: str, new: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(RIG.replace(old, new), Path.cwd())
    assert sentence in str(refused.value)
