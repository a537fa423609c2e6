"""Writers of outputs that wait long, so that a machine that stalls fails no test."""

from typing import Any

import pytest

from deeplabstream.engine.checks import output_pulse
from outputs import background_writer, firmata, helper_process, nidaq, raspberry_pi
from outputs.board import connection

PATIENCE_S = 60.0
TEST = output_pulse._test
LIMITS = (
    (background_writer, "HANG_S"),
    (connection, "START_S"),
    (connection, "ANSWER_S"),
    (firmata, "START_S"),
    (helper_process, "OPENING_S"),
    (helper_process, "HANG_S"),
    (nidaq, "ANSWER_S"),
    (nidaq, "HANG_S"),
    (raspberry_pi, "ANSWER_S"),
)
"""How long drivers wait for their device before they give it up."""


def use_patient_writers(patch: pytest.MonkeyPatch) -> None:
    """Let no level be too late, and no device hang."""
    patch.setattr(background_writer, "LATE_NS", round(PATIENCE_S * 1e9))
    for module, limit in LIMITS:
        patch.setattr(module, limit, PATIENCE_S)


def patient_test(*arguments: Any) -> None:
    """Be the process that tests an output, with such a writer."""
    with pytest.MonkeyPatch.context() as patch:
        use_patient_writers(patch)
        TEST(*arguments)
