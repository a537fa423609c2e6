"""Background writers that wait long, so that a machine that stalls fails no test."""

from typing import Any

import pytest

from deeplabstream.engine.checks import output_test
from outputs import background_writer

PATIENCE_S = 60.0
TEST = output_test._test


def use_patient_writers(patch: pytest.MonkeyPatch) -> None:
    """Let no level be too late, and no device hang."""
    patch.setattr(background_writer, "LATE_NS", round(PATIENCE_S * 1e9))
    patch.setattr(background_writer, "HANG_S", PATIENCE_S)


def patient_test(*arguments: Any) -> None:
    """Be the process that tests an output, with such a writer."""
    with pytest.MonkeyPatch.context() as patch:
        use_patient_writers(patch)
        TEST(*arguments)
