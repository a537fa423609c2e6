import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from deeplabstream.pose.network_estimator import ConfidenceScale

scales = some.builds(
    ConfidenceScale, some.floats(0.05, 5), some.floats(-5, 5), some.just(5.0)
)


@given(scales, some.lists(some.floats(0, 1), min_size=2))
def test_what_was_surer_stays_surer(scale: ConfidenceScale, raw: list[float]) -> None:
    found = scale(np.sort(np.array(raw)))
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(some.floats(0.3, 3), some.floats(-3, 3), some.floats(0.01, 0.99))
def test_what_was_said_at_first_can_be_had_again(
    slope: float, shift: float, raw: float
) -> None:
    scale = ConfidenceScale(slope, shift, 5.0)
    assert float(scale.raw(scale(np.array([raw])))[0]) == pytest.approx(raw, abs=0.01)


def test_what_is_not_known_stays_unknown() -> None:
    assert np.isnan(ConfidenceScale(1, 1, 5)(np.array([np.nan, 0.5]))).tolist() == [
        True, False,
    ]  # fmt: skip
