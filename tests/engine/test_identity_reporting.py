"""A person says who is who: through the engine, into the record, and back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.journal_entries import Note
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.identity_reporting import (
    IdentityReporter,
    IdentityState,
    sentence,
    shelters_of,
)
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import parse
from experiments.triggers.region_triggers import InsideRegion
from experiments.triggers.social import Distance
from tests.engine.test_session import Watched
from tests.pose.crowd import flies

pytestmark = pytest.mark.usefixtures("fork_server")

RIG = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0:2
[Animals]
NAMES = anna, bob
[Camera arena]
KIND = SimulatedCamera
ANIMALS = 2
SEED = 6
SHELTER = no
WIDTH = 320
HEIGHT = 240
"""
NAMES = Skeleton(("snout",), animals=("anna", "bob", "carl"))


def pose(*words: str, sure: float = 1.0) -> Pose:
    shape = len(words), 1
    points, confidence = np.ones((*shape, 2), np.float32), np.full(shape, sure)
    return Pose(NAMES, points, confidence.astype(np.float32), words)


def said(*poses: Pose) -> list[str]:
    whereabouts = IdentityReporter()
    told = [each for pose in poses for each in whereabouts.changes("top", pose, 1.0)]
    return [each.removeprefix("[Camera top] 1.000 s: ") for each in told]


def test_what_a_person_said_is_told_whatever_else_happens() -> None:
    known, swapped = pose("", "", ""), pose("swapped", "swapped", "")
    assert said(known, swapped, known) == ["anna and bob: names swapped by the user"]
    doubted = pose("doubt1", "doubt1", "")
    again = pose("doubt1+swapped", "doubt1+swapped", "")
    assert said(doubted, again, doubted, pose("confirmed", "confirmed", "")) == [
        "anna and bob: identities are ambiguous",
        "anna and bob: names swapped by the user",
        "anna and bob: names confirmed by the user",
    ]


def test_a_window_says_how_it_stands_with_each() -> None:
    totals = dict.fromkeys(
        ("ambiguities", "ambiguous_frames", "exchanged", "swapped"), 2
    )
    who = IdentityState(pose("doubt1", "doubt1+swapped", "stray"), totals)
    assert who.states(0.5) == {"anna": "or bob?", "bob": "or anna?", "carl": "a stray?"}
    assert "now anna and bob ambiguous. So far ambiguous 2 times" in sentence(
        "top", who
    )
    long = replace(NAMES, animals=("alexandrina", "bartholomew", "carl"))
    points = np.ones((3, 1, 2), np.float32)
    crowd = Pose(long, points, points[..., 0], ("doubt1",) * 3)
    assert set(IdentityState(crowd, totals).states(0.5).values()) == {"one of 3?"}
    hidden = IdentityState(pose("", "", "", sure=0.2), totals)
    assert set(hidden.states(0.5).values()) == {"not seen"}
    assert "anna, bob and carl; now all known" in sentence("top", hidden)


def test_a_window_says_who_looks_alike_and_what_is_not_known() -> None:
    totals = dict.fromkeys(
        ("ambiguities", "ambiguous_frames", "exchanged", "swapped"), 0
    )
    known = pose("", "", "")

    def said_of(distinctness: Distinctness | None) -> str:
        return sentence("top", IdentityState(known, totals, distinctness))

    unknown = "the appearance of anna, bob and carl is not learned yet"
    assert said_of(None).endswith(unknown)
    assert said_of(Distinctness((), ())).endswith("all look different")
    some = said_of(Distinctness(((0, 1),), (2,)))
    assert "anna and bob look alike; the appearance of carl is not learned" in some


def test_an_animal_in_a_shelter_is_shown_with_its_name() -> None:
    states = "shelter2", "doubt1+shelter1", "doubt1"
    who = IdentityState(pose(*states), {})
    assert who.states(0.5, ["nest", "tube"]) == {
        "anna": "in tube",
        "bob": "in nest?",
        "carl": "or bob?",
    }
    assert said(pose("", "", ""), pose(*states), pose("", "", "")) == [
        "bob and carl: identities are ambiguous",
        "bob and carl: identities are known again",
    ]


def test_shelters_of_each_camera_are_in_pixels_of_its_image(tmp_path: Path) -> None:
    nest = "KIND = InsideRegion\nBODYPARTS = snout\nREGION = rectangle 10 20 30 40\n"
    words = RIG.replace("anna, bob", "anna, bob\nSHELTERS = tube, nest")
    words = words.replace("WIDTH = 320", "WIDTH = 320\nMM_PER_PIXEL = 0.5")
    words += f"[Trigger nest]\n{nest}[Trigger tube]\n{nest}UNIT = mm\n"
    tube, nest_ = shelters_of(parse(words, tmp_path))["arena"]
    assert (tube.number, nest_.number) == (1, 2)
    assert nest_.region.has(39, 59)
    assert tube.region.has(79, 119)
    assert not tube.region.has(19, 39)


def notes(it: Watched, words: str) -> list[Note]:
    return [n for n in it.told if isinstance(n, Note) and words in n.text]


def test_names_are_exchanged_while_it_runs(tmp_path: Path) -> None:
    with RigSession(parse(RIG, tmp_path)) as session:
        it = Watched(session)
        session.set_identity("arena", ("anna", "bob"))
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        it.until(lambda it: session.state.analysing)
        assert [str(failed.text) for failed in it.of(Failed)] == [
            "Identities can be set only while frames are analysed"
        ]
        it.until(lambda it: bool(session.state.identity))
        session.set_identity("arena", ("anna", "dora"))
        session.set_identity("arena", ("anna", "bob"))
        it.until(lambda it: bool(notes(it, "names swapped by the user")))
        assert [failed.text for failed in it.of(Failed)][1:] == [
            "No animal is named dora"
        ]
        it.until(lambda it: not session.state.identity["arena"].ambiguous)
        it.until(lambda it: session.state.identity["arena"].distinctness is not None)
        assert session.state.identity["arena"].totals["swapped"] == 2
        it.stop()
        folder = session.state.run_folder
    assert folder is not None
    run = RunFolder(folder)
    assert run.facts["identity"]["arena"]["swapped"] == 2
    words = [step.pose.identity for step in run.steps("arena")]
    assert sum(any(w.endswith("swapped") for w in word) for word in words) == 1
    rows = [row["text"] for row in run.events() if row["name"] == "identity"]
    assert any(row.endswith("anna and bob: names swapped by the user") for row in rows)


@pytest.mark.parametrize("camera", ["arena", "elsewhere"])
def test_a_camera_that_saw_nobody_is_no_harm(camera: str) -> None:
    from deeplabstream.engine.identity_reporting import CameraIdentityTrackers
    from deeplabstream.pose.tracking.identity_tracker import IdentitySettings

    identities = CameraIdentityTrackers(NAMES, Thresholds(0.5), IdentitySettings())
    identities.correct(camera, None)
    assert identities._trackers == {}


@pytest.mark.parametrize("apart_px", [67.0, 0.0])
def test_triggers_are_unknown_while_identity_is_ambiguous_and_only_then(
    apart_px: float,
) -> None:
    """Flies that pass each other legs upon legs, and flies that walk through each other."""
    from deeplabstream.core.frame import Frame
    from deeplabstream.engine.identity_reporting import CameraIdentityTrackers
    from deeplabstream.pose.tracking.identity_tracker import IdentitySettings

    found = flies(300, apart_px=apart_px, swing_px=150, dropouts=0, missing=0)
    skeleton = replace(found.skeleton, animals=("female", "male"))
    trackers = CameraIdentityTrackers(skeleton, Thresholds(0.5), IdentitySettings())
    near = Distance(
        animals=("female", "male"), bodyparts=("thorax", "thorax"), distance=100
    )
    left = InsideRegion(
        animal="male", bodyparts=("thorax",), region="rectangle 0 0 256 512"
    )
    ambiguous, unknown = 0, {"near": 0, "left": 0}
    for index, (time_s, image, raw, _) in enumerate(found.frames(300)):
        at_ns = int(time_s * 1e9)
        pose = trackers.update(Frame("top", index, at_ns, at_ns, image), raw)
        ambiguous += pose.is_ambiguous(1)
        answers = {"near": near.answer(pose, time_s), "left": left.answer(pose, time_s)}
        for name, answer in answers.items():
            unknown[name] += answer is None
        assert not pose.is_ambiguous(1) or answers["left"] is None
    assert unknown == {"near": 0, "left": ambiguous}
    assert ambiguous < 0.05 * 300 if apart_px else ambiguous > 0.5 * 300
