"""A port that vanishes while a whole rig runs: camera, engine, guard."""

import sys
from pathlib import Path

import pytest

from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.session.session_state import Action, Failed
from tests.engine.test_session import SERIAL, Watched, experiment, rig
from tests.outputs.players import playing

pytestmark = pytest.mark.usefixtures("fork_server")

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)


def failure_of(it: Watched, address: str) -> str:
    text = next(n.text for n in it.of(Note) if n.kind == "error")
    assert text.startswith(f"[Output laser] {address} is gone (")
    return text.removeprefix("[Output laser] ")


def test_it_ends_the_experiment_and_leaves_the_others_off(tmp_path: Path) -> None:
    """The light is on over one port when the cable of another, unused, comes out."""
    with playing("fake_terminal") as lamp, playing("fake_terminal") as laser:
        ports = SERIAL.format(port=lamp.address) + SERIAL.replace(
            "Output light", "Output laser"
        ).format(port=laser.address)
        with rig(tmp_path, ports) as it:
            experiment(it)
            assert lamp.heard_until("H")
            laser.close()
            it.until(lambda it: it.session.state.experimenting is False)
            assert lamp.heard_until("L")
            assert (
                it.session.state.error
                == f"[Output laser] {failure_of(it, laser.address)}"
            )
            it.until(lambda it: bool(it.of(Failed)))
            said = " ".join(failed.text for failed in it.of(Failed))
            assert f"[Output laser] {laser.address} is gone" in said
            offs = [e for e in it.of(Edge) if e.output == "light" and e.level == 0]
            assert offs[-1].cause == "error"
            heard = len(it.told)
            it.do(Action.START_EXPERIMENT)
            refused = "Cannot start the experiment: [Output laser]"
            it.until(lambda it: refused in str(it.told[heard:]))
            assert "can't be opened" in str(it.told[heard:])
            it.stop()
