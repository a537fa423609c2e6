"""Numbers and pixels of Basler cameras that no emulator has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.basler.counters import BlockIdCounter
from cameras.basler.pixel_formats import layout_of
from deeplabstream.core.errors import DeviceError


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300), st.integers(1, 65535))
def test_short_counters_go_on_for_ever(losses: list[int], first: int) -> None:
    count = BlockIdCounter(bits=16, first=1)
    true, told = np.cumsum([0] + [loss + 1 for loss in losses]), []
    for number in true:
        told.append(count.index(1 + (first - 1 + int(number)) % 65535))
    assert told == true.tolist()


def test_a_counter_that_starts_again_is_no_time_travel() -> None:
    count = BlockIdCounter()
    assert [count.index(block) for block in (7, 8, 10)] == [0, 1, 3]
    with pytest.raises(DeviceError, match="restarted"):
        count.index(0)
    with pytest.raises(DeviceError, match="without a number"):
        count.index(2**64 - 1)


def test_unknown_counters_claim_nothing() -> None:
    count = BlockIdCounter(knows=False)
    assert [count.index(block) for block in (0, 0, 2**64 - 1)] == [0, 1, 2]


@pytest.mark.parametrize("tile", ["RG", "GR", "GB", "BG"])
def test_every_tiling_of_a_bayer_sensor_gives_the_colours_that_were_there(
    tile: str,
) -> None:
    bgr = {"B": 40, "G": 90, "R": 200}
    after = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[tile]
    sensor = np.empty((16, 16), np.uint8)
    for row, colours in enumerate((tile, after)):
        for column, colour in enumerate(colours):
            sensor[row::2, column::2] = bgr[colour]
    layout = layout_of(f"Bayer{tile}8")
    assert layout is not None
    image = np.zeros(layout.shape(16, 16), np.uint8)
    layout.copier()(sensor, image)
    assert image[8, 8].tolist() == [40, 90, 200]
