import pytest

from tests.outputs.patient_writers import use_patient_writers


@pytest.fixture(autouse=True)
def patient_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have drivers wait long; tests of their limits set these by their own words."""
    use_patient_writers(monkeypatch)
