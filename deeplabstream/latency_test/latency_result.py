"""Latency result: values of a latency test, as a file beside the settings and as text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from platform import platform

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.measured_latency import FOLDER, Sections, settings_hash
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.foreign_files import read_json
from deeplabstream.latency_test.flashes import PARTS, Flash, statistics
from deeplabstream.latency_test.led_rig import Wiring
from deeplabstream.recording.run_folder import application_version

SCHEMA = 1


@dataclass(frozen=True)
class LatencyResult:
    """Result of a latency test; without an output it ends with the decision."""

    measured: str
    """Date and time, UTC."""
    camera: str
    output: str
    """Empty: none was switched; half the loop was measured."""
    board: Mapping[str, object]
    """`Wiring`."""
    network: str
    """The network that ran; empty: none, the LED detector alone."""
    network_sha256: str
    exposure_known: bool
    """Whether the camera reports times of exposure; if not, they are those of arrival."""
    unseen: int
    unanswered: int
    clock_error_ms: float | None
    """Largest constant error of the board's clock on the run's: half the shortest round trip;
    None: not known."""
    settings: Sections
    """Values of the sections on which the delay depends."""
    flashes: Sequence[Flash] = field(repr=False)
    remarks: tuple[str, ...] = ()
    patch_ms: Mapping[str, float] | None = None
    """From painting the patch until the photodiode detected it, ms; None: no photodiode."""

    @property
    def ms(self) -> dict[str, dict[str, float]]:
        """The statistics of all flashes, in ms."""
        return statistics(self.flashes)

    def save(self, rig: Path) -> Path:
        """Write a new file into the rig folder; DeviceError: it can't be written."""
        rows = [asdict(flash) for flash in self.flashes]
        facts = {
            "schema": SCHEMA,
            "application": application_version(),
            "system": platform(),
            **{name: value for name, value in vars(self).items() if name != "flashes"},
            "settings_sha256": settings_hash(self.settings),
            "ms": self.ms,
            "columns": [*rows[0]],
            "flashes": [[*row.values()] for row in rows],
        }
        name = datetime.fromisoformat(self.measured).strftime("%Y-%m-%d_%H-%M-%S")
        path = rig / FOLDER / f"{name}.json"
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise DeviceError(f"Can't make {path.parent}: {error.strerror}") from error
        write_json(path, facts)
        return path

    def sentences(self) -> list[str]:
        """Return the result in sentences."""
        return sentences_of(self.ms, self.output, self.unseen, self.unanswered)

    def lines(self) -> Iterator[str]:
        """Yield the result as lines of text."""
        figures, word = self.ms, word_of(Wiring(**self.board))  # type: ignore[arg-type]
        end = f"[Output {self.output}]" if self.output else "the decision"
        yield (
            f"[Camera {self.camera}] to {end}, {len(self.flashes)} flashes"
            f" ({self.unseen} unseen, {self.unanswered} unanswered); "
            f"network: {self.network or 'none, the LED alone'}"
        )
        yield f"{'ms':22}" + "".join(
            f"{key:>9}" for key in next(iter(figures.values()))
        )
        if self.patch_ms is not None:
            figures["screen_to_light"] = dict(self.patch_ms)
        for name, values in figures.items():
            numbers = "".join(f"{value:9.2f}" for value in values.values())
            what = f"  {_MEANINGS[name]}" if name in _MEANINGS else ""
            yield f"{name.replace('_', ' ').replace('led', word):22}{numbers}{what}"
        error = "the error between the clocks of board and computer is not known"
        if self.clock_error_ms is not None:
            error = (
                f"with a constant error of at most {self.clock_error_ms:.2f} ms between the "
                "clocks of board and computer, around which single times scatter"
            )
        yield from _clocks(word, self.output, error)
        yield from self.remarks


def read_sentences(file: Path) -> list[str]:
    """Return the result in a file in sentences; none: it can't be read."""
    try:
        facts = read_json(file)
        return sentences_of(
            facts["ms"], facts["output"], facts["unseen"], facts["unanswered"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return []


def sentences_of(
    ms: Mapping[str, Mapping[str, float]], output: str, unseen: int, unanswered: int
) -> list[str]:
    """Return the statistics of a test in sentences; `ms` as `LatencyResult.ms`."""
    key, end = "exposure_to_output", f"the change of [Output {output}]"
    if not output:
        key, end = "exposure_to_decision", "the decision (no output was measured)"
    whole = ms[key]
    parts = [
        f"{word} {ms[part]['p50']:.1f}"
        for part, word in _PART_NAMES.items()
        if part in ms
    ]
    sentences = [
        f"From the camera's exposure to {end}: {whole['p50']:.1f} ms in half of the flashes, "
        f"at most {whole['p99']:.1f} ms in 99 of 100, {whole['max']:.1f} ms at worst.",
        f"Where the time goes (medians, ms): {', '.join(parts)}.",
    ]
    if unseen or unanswered:
        sentences.append(
            f"{unseen} flashes were not seen by the camera, {unanswered} not answered by the "
            "output: these are not in the figures."
        )
    return sentences


_PART_NAMES = {
    "transport": "camera and transfer",
    "network": "network",
    "decision": "triggers and experiment",
    "serial": "output's device",
    "pin": "line",
}
"""Short names of the parts of the delay, without waiting for the first exposure."""
_MEANINGS = {
    **PARTS,
    "screen_to_light": "painting of the patch to its light, by the photodiode",
}


def word_of(wiring: Wiring) -> str:
    """Return the name of a flash's start: `led`, `light` or `screen`."""
    if wiring.screen is None:
        return "led"
    return "light" if wiring.photodiode_pin else "screen"


def _clocks(word: str, output: str, error: str) -> Iterator[str]:
    """Yield sentences on the clocks used and on missing parts; `word` as `word_of`."""
    if not output:
        begin = "the light" if word == "light" else "the painting of the patch"
        yield (
            f"HALF THE LOOP: from {begin} to the decision. No output was switched: its time "
            "and that of its device are not in these figures"
        )
        if word == "screen":
            yield (
                "screen to exposure contains the screen's own delay (compositor, refresh, "
                "panel), which only a photodiode can tell from the camera's; all times are "
                "by the computer's clock"
            )
        else:
            yield f"light to decision uses the times of board and computer, {error}"
        return
    if word == "screen":
        yield (
            "screen to output is from painting, by the computer's clock, to the output's "
            f"edge by the board's, {error}; it contains the screen's own delay"
        )
        return
    yield (
        f"{word} to output is by the board's clock alone; exposure to output and the parts "
        f"use the camera's times, {error}"
    )


def now() -> str:
    """Return the current time for `LatencyResult.measured`."""
    return datetime.now(UTC).isoformat(timespec="seconds")
