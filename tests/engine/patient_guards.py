"""Guards and sessions that wait long for the engine: a machine that stalls fails no test."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deeplabstream.engine.checks import output_pulse
from deeplabstream.engine.processes import guard, second_guard
from deeplabstream.engine.session import process_manager

if TYPE_CHECKING:
    import pytest

PATIENCE_S = 60.0
NOTICING_S = 5.0
"""For tests in which the guards must notice an engine that hangs."""
GUARD, SECOND_GUARD = process_manager.GUARD, process_manager.SECOND_GUARD
SESSION = {
    name: getattr(process_manager, name)
    for name in ("ENGINE_S", "GUARD_S", "SECOND_GUARD_S", "SILENT_S")
}
"""How long a session of users waits."""
HERE = "tests.engine.patient_guards"


def patient_guard(*arguments: Any) -> None:
    _guard(PATIENCE_S, *arguments)


def patient_second_guard(*arguments: Any) -> None:
    _second_guard(PATIENCE_S, *arguments)


def noticing_guard(*arguments: Any) -> None:
    _guard(NOTICING_S, *arguments)


def noticing_second_guard(*arguments: Any) -> None:
    _second_guard(NOTICING_S, *arguments)


def _guard(patience_s: float, *arguments: Any) -> None:
    guard.watch.__defaults__ = (patience_s,)
    guard.guard_main(*arguments)


def _second_guard(patience_s: float, *arguments: Any) -> None:
    second_guard.HANG_S = patience_s
    second_guard.second_guard_main(*arguments)


def use_patient_guards(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let the sessions of a test have such guards, and not kill a slow engine at the end."""
    _use(monkeypatch, f"{HERE}:patient_guard", f"{HERE}:patient_second_guard")


def use_noticing_guards(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let the sessions of a test have guards that wait for `NOTICING_S`."""
    _use(monkeypatch, f"{HERE}:noticing_guard", f"{HERE}:noticing_second_guard")


def use_real_guards(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let the sessions of a test have the guards that users have, and kill as theirs."""
    _use(monkeypatch, GUARD, SECOND_GUARD, SESSION)


def _use(
    monkeypatch: "pytest.MonkeyPatch",
    guard_body: str,
    second_guard_body: str,
    session: Mapping[str, float] = dict.fromkeys(SESSION, PATIENCE_S),
) -> None:
    for name, seconds in session.items():
        monkeypatch.setattr(process_manager, name, seconds)
    monkeypatch.setattr(process_manager, "GUARD", guard_body)
    monkeypatch.setattr(process_manager, "SECOND_GUARD", second_guard_body)


def use_patient_guards_of_output_tests(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let tests of one output have such guards."""
    monkeypatch.setattr(output_pulse, "guard_main", patient_guard)
    monkeypatch.setattr(output_pulse, "second_guard_main", patient_second_guard)
