"""Guards that wait long for the engine, so that a machine that stalls fails no test."""

from typing import TYPE_CHECKING, Any

from deeplabstream.engine.checks import output_test
from deeplabstream.engine.processes import guard, second_guard
from deeplabstream.engine.session import process_manager

if TYPE_CHECKING:
    import pytest

PATIENCE_S = 60.0
GUARD, SECOND_GUARD = process_manager.GUARD, process_manager.SECOND_GUARD


def patient_guard(*arguments: Any) -> None:
    guard.watch.__defaults__ = (PATIENCE_S,)
    guard.guard_main(*arguments)


def patient_second_guard(*arguments: Any) -> None:
    second_guard.HANG_S = PATIENCE_S
    second_guard.second_guard_main(*arguments)


def use_patient_guards(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let the sessions of a test have such guards."""
    here = "tests.engine.patient_guards"
    monkeypatch.setattr(process_manager, "GUARD", f"{here}:patient_guard")
    second = f"{here}:patient_second_guard"
    monkeypatch.setattr(process_manager, "SECOND_GUARD", second)


def use_patient_guards_of_output_tests(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let tests of one output have such guards."""
    monkeypatch.setattr(output_test, "guard_main", patient_guard)
    monkeypatch.setattr(output_test, "second_guard_main", patient_second_guard)


def use_real_guards(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let the sessions of a test have the guards that users have."""
    monkeypatch.setattr(process_manager, "GUARD", GUARD)
    monkeypatch.setattr(process_manager, "SECOND_GUARD", SECOND_GUARD)
