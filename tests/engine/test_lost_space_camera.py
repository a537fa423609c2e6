"""A rig of three calibrated cameras, of which one is lost: triggers are right, or unknown."""

import os
import signal
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action
from deeplabstream.settings.loading import parse
from deeplabstream.simulation.space_arena import BodyWalk
from tests.engine.tolerant import GIVE_UP_S, ROOT, TOLERANT

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="no SIGSTOP"),
    pytest.mark.usefixtures("fork_server"),
]

HEIGHT_MM, NEAR_MM = 40.0, 8.0
"""Height of the trigger, and error of the network's points around it."""
UNKNOWN_MS = 100
"""Age above which an answer must be unknown."""
ENOUGH = 20
"""Known answers before the loss, and after it."""
WANTED = (Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)


def rig(folder: Path) -> RigSession:
    text = (ROOT / "experiments/configs/rearing.ini").read_text("utf-8")
    text = text.replace("../../models", (ROOT / "models").as_posix())
    text = text.replace("../../output", folder.as_posix())
    # the answers themselves: not held, and nothing ends the run on a busy computer
    text = text.replace("HOLD_MS = 70", "")
    limits = TOLERANT.replace("MAX_AGE_MS = 60000", f"MAX_AGE_MS = {UNKNOWN_MS}")
    text = text.replace("EXP_NAME = rearing", f"EXP_NAME = rearing\n{limits}")
    return RigSession(parse(text, folder))


def gathered(
    session: RigSession, found: list[Step], wanted: list[Action], most: int
) -> None:
    """Start what is wanted, and gather steps until `most` answers are known."""
    give_up_s = perf_counter() + GIVE_UP_S
    while wanted or known(found) < most:
        assert perf_counter() < give_up_s, "too few moments"
        if wanted and wanted[0] in session.state.allowed:
            session.do(wanted.pop(0))
        found += [entry for entry in session.poll() if isinstance(entry, Step)]
        session.rest(0.01)


def known(steps: list[Step]) -> int:
    """Return the number of moments at which the trigger is known."""
    return sum(step.space_triggers.get("rearing") is not None for step in steps)


def check_answer(walk: BodyWalk, step: Step) -> None:
    """Check that the trigger is right and of a recent moment, or unknown."""
    answer = step.space_triggers.get("rearing")
    if step.space is None or answer is None:
        return
    assert step.posed_ns - step.space.time_ns <= UNKNOWN_MS * 1e6
    height = float(walk.at(step.space.time_ns / 1e9).points[0, 2])
    if abs(height - HEIGHT_MM) > NEAR_MM:
        assert answer is (height > HEIGHT_MM), (height, step.space.points[0])


def test_a_camera_that_is_lost_in_the_middle_makes_no_answer_wrong(
    tmp_path: Path,
) -> None:
    steps, later = list[Step](), list[Step]()
    with rig(tmp_path) as session:
        gathered(session, steps, [*WANTED], ENOUGH)
        (front,) = (p for p in session.processes() if "front" in p.name)
        os.kill(front.pid or 0, signal.SIGSTOP)
        try:
            gathered(session, later, [], ENOUGH)
        finally:
            os.kill(front.pid or 0, signal.SIGCONT)

    walk = BodyWalk(0)
    for step in [*steps, *later]:
        check_answer(walk, step)
    last_ns = max(s.exposed_ns for s in [*steps, *later] if s.camera == "front")
    alone = [
        s.space for s in later if s.space is not None and s.space.time_ns > last_ns
    ]
    assert alone
    for pose in alone:
        assert not pose.used[pose.cameras.index("front")].any()
    unknown = np.isnan(np.stack([pose.points for pose in alone])).all(axis=(1, 2))
    assert not unknown.all(), "two cameras suffice"
