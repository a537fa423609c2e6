import pytest

from tests.cameras.patient_cameras import use_patient_cameras


@pytest.fixture
def usual_limits() -> None:
    """Leave the limits of the cameras as users have them: the test is about them."""


@pytest.fixture(autouse=True)
def patient_cameras(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "usual_limits" not in request.fixturenames:
        use_patient_cameras(monkeypatch)
