import multiprocessing
import sys
import wave
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from deeplabstream.core.errors import DeviceError
from outputs.sound import Sound
from outputs.sound_player import Voice, opened_source, read_wave
from tests.outputs.patient_writers import use_patient_writers
from tests.outputs.players import Player, playing

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the played loudspeaker is ALSA's"
)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    """A loudspeaker that says what it plays."""
    with playing("fake_speaker") as player:
        monkeypatch.setenv("ALSA_CONFIG_PATH", player.address)
        yield player


@linux
def test_a_tone_is_heard_while_it_is_on(speaker: Player) -> None:
    with Sound(frequency_hz=1000, volume=0.5).opened() as write:
        write(1.0)
        assert "loud 1000" in speaker.heard_until("loud 1000")
        write(0.0)
        assert speaker.heard_until("quiet")


def _hold_on(ready: Connection) -> None:
    use_patient_writers(pytest.MonkeyPatch())
    with Sound().opened() as write:
        write(1.0)
        ready.send("on")
        ready.poll(None)


@linux
def test_the_sound_ends_with_the_process_that_opened_it(speaker: Player) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    holder = spawn.Process(target=_hold_on, args=(theirs,))
    holder.start()
    theirs.close()
    assert ours.recv() == "on"
    assert speaker.heard_until("loud 4000")
    holder.kill()
    holder.join()
    assert speaker.heard_until("quiet")
    holder.close()
    ours.close()


@linux
def test_no_sound_device_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "absent.conf"
    config.write_text("pcm.none { type hw card 42 }\nctl.none { type hw card 42 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    with pytest.raises(DeviceError, match="no sound device found"):
        Sound().opened().__enter__()


@linux
def test_a_wrong_device_is_a_sentence(speaker: Player) -> None:
    with pytest.raises(DeviceError, match="DEVICE = loud one can't be opened"):
        Sound(device="loud one").opened().__enter__()


def played(settings: Sound, levels: list[float], block: int = 480) -> np.ndarray:
    """Return what comes out, a block for each level: (sample, channel)."""
    source, rate = opened_source(settings)
    voice = Voice(settings, source, rate)
    out = np.full((block * len(levels), 2), np.nan, np.float32)
    for place, level in enumerate(levels):
        voice.level = level
        voice.fill(out[block * place : block * (place + 1)])
    return out


def test_a_sound_fades_in_and_out() -> None:
    sound = Sound(frequency_hz=12_000, volume=0.8, ramp_ms=5)
    out = played(sound, [0, 1, 1, 0.5, 0, 0])
    heights = np.abs(out[:, 0]).reshape(6, 480)
    assert np.all(heights[[0, 5]] == 0)
    assert np.all(np.diff(heights[1][1::2]) > -1e-6)  # crests at each second sample
    assert heights[2].max() == pytest.approx(0.8, abs=1e-4)
    assert heights[3][-2:].max() == pytest.approx(0.4, abs=1e-4)
    assert heights[1][:240].max() <= 0.8
    assert np.abs(np.diff(heights[1][1::2])).max() < 0.01


@pytest.mark.parametrize(("side", "silent"), [("left", 1), ("right", 0)])
def test_a_sound_may_come_from_one_side(side: str, silent: int) -> None:
    out = played(Sound(side=side), [1, 1])  # type: ignore[arg-type]
    assert np.all(out[:, silent] == 0)
    assert np.abs(out[:, 1 - silent]).max() > 0.4


def test_noise_is_white_and_the_same_each_time() -> None:
    sound = Sound(sound="noise", volume=1, ramp_ms=0)
    first, second = (played(sound, [1], 48_000)[:, 0] for _ in range(2))
    assert np.array_equal(first, second)
    power = np.abs(np.fft.rfft(first)) ** 2
    bands = power[1:24_001].reshape(10, 2400).mean(axis=1)
    assert bands.max() / bands.min() < 1.2


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_file_is_played_again_and_again(tmp_path: Path, width: int) -> None:
    full = 2 ** (8 * width - 1)
    values = [0, full // 2, -full, full // 4]
    path = tmp_path / "beep.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, width, 44_100, 0, "NONE", ""))
        file.writeframes(
            b"".join(v.to_bytes(width, "little", signed=True) for v in values)
        )
    samples, rate = read_wave(path)
    assert rate == 44_100
    assert samples.tolist() == pytest.approx([0, 0.5, -1, 0.25])
    sound = Sound(sound="file", file=path, volume=1, ramp_ms=0)
    out = played(sound, [1], block=6)[:, 0]
    assert out.tolist() == pytest.approx([0, 0.5, -1, 0.25, 0, 0.5])


def test_what_is_no_sound_is_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    with pytest.raises(DeviceError, match="sound file not found"):
        Sound(sound="file", file=tmp_path / "none.wav").opened().__enter__()
    with pytest.raises(DeviceError, match="can't be played: file does not start"):
        Sound(sound="file", file=text).opened().__enter__()


def test_what_can_not_be_played_is_refused() -> None:
    with pytest.raises(ValidationError, match="SOUND = file needs FILE"):
        Sound(sound="file")
    with pytest.raises(ValidationError, match="above half of SAMPLE_RATE"):
        Sound(frequency_hz=30_000)
