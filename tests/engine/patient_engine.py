"""An engine that waits long for its devices, so that a machine that stalls fails no test."""

from typing import Any

import pytest

from deeplabstream.engine.processes import engine_process
from deeplabstream.engine.session import process_manager
from outputs import serial_line
from outputs.board import watchdog_check
from tests.outputs.patient_writers import PATIENCE_S, use_patient_writers


def patient_engine(*arguments: Any) -> None:
    use_patient_writers(pytest.MonkeyPatch())
    watchdog_check._PATIENCE_S = serial_line.WRITE_TIMEOUT_S = PATIENCE_S
    engine_process.engine_main(*arguments)


def use_patient_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sessions of a test have such an engine."""
    engine = "tests.engine.patient_engine:patient_engine"
    monkeypatch.setattr(process_manager, "ENGINE", engine)
