import warnings
from collections.abc import Iterator

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from deeplabstream.core.errors import DeviceError
from outputs.raspberry_pi import RaspberryPin
from tests.outputs.players import Player, playing


@pytest.fixture(scope="module")
def pi() -> Iterator[Player]:
    with playing("fake_pigpiod") as player:
        yield player


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> MockFactory:
    """Pins of this computer, as gpiozero itself plays them."""
    factory = MockFactory(pin_class=MockPWMPin)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    return factory


@pytest.mark.parametrize(("active_low", "wanted"), [(False, "0101"), (True, "1010")])
def test_a_pin_goes_high_and_low(
    pins: MockFactory, active_low: bool, wanted: str
) -> None:
    seen = []
    with RaspberryPin(pin=17, active_low=active_low).opened() as write:
        for level in (0.0, 1.0, 0.0, 0.3):
            write(level)
            seen.append(pins.pin(17).state)
    assert "".join(f"{state:.0f}" for state in seen) == wanted


def test_a_level_is_a_share_of_time(pins: MockFactory) -> None:
    with RaspberryPin(pin=18, pwm=True).opened() as write:
        for level in (0.0, 1.0, 0.25, 0.0):
            write(level)
            assert pins.pin(18).state == pytest.approx(level)


def test_a_pin_is_used_by_one_output_only(pins: MockFactory) -> None:
    pin = RaspberryPin(pin=17)
    with pin.opened(), pytest.raises(gpiozero.GPIOPinInUse), pin.opened():
        pytest.fail("it opened twice")


def test_pins_of_another_computer(pi: Player) -> None:
    host, port = "127.0.0.1", int(pi.address)
    dim = RaspberryPin(pin=18, pwm=True, host=host, port=port)
    with RaspberryPin(pin=17, host=host, port=port).opened() as one:
        one(1.0)
        assert pi.heard() == "17 1"
        with dim.opened() as two:
            two(0.5)
            assert pi.heard() == "18 5000"
            two(0.0)
            assert pi.heard() == "18 0"
        one(0.0)
        assert pi.heard() == "17 0"


def test_a_computer_that_does_not_answer_is_a_sentence() -> None:
    nobody = RaspberryPin(pin=17, host="127.0.0.1", port=1)
    with pytest.raises(DeviceError, match="does pigpiod run there"):
        nobody.opened().__enter__()


def test_no_raspberry_pi_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            gpiozero.Device.ensure_pin_factory()
        except gpiozero.BadPinFactory:
            with pytest.raises(DeviceError, match="has no GPIO pins"):
                RaspberryPin(pin=17).opened().__enter__()
