from math import isnan

from deeplabstream.core.command import on
from deeplabstream.engine.session.session_state import Counts
from deeplabstream.gui.live_figures import Figures
from tests.gui.fake_session import make_step

MS = 1_000_000


def test_rates_and_latencies_are_those_of_the_last_second() -> None:
    figures = Figures("arena")
    figures.update(0, Counts())
    figures.add([make_step(0, commands=(on("stimulus"),)), make_step(1)])
    reading = figures.update(500 * MS, Counts(delivered=50, analysed=25))
    assert (reading.camera_rate, reading.analysed_rate) == (100, 50)
    assert (reading.decided_ms, reading.written_ms) == (5, 6)
    figures.add([make_step(200)])
    later = figures.update(3000 * MS, Counts(delivered=75, analysed=50))
    assert (later.camera_rate, later.analysed_rate) == (10, 10)
    assert isnan(later.written_ms), "what was written is older than a second"


def test_without_analysis_there_is_no_latency() -> None:
    figures = Figures("arena")
    figures.add([make_step(3)])
    figures.update(0, Counts(delivered=10, analysed=4))
    reading = figures.update(100 * MS, Counts(delivered=13, analysed=4))
    assert isnan(reading.decided_ms)


def test_the_frame_is_that_of_the_camera_also_while_the_analysis_waits() -> None:
    figures = Figures("arena")
    assert figures.update(0, Counts()).frame is None
    shown = []
    for second, analysed in enumerate((0, 20, 20, 20, 50), start=1):
        figures.add([make_step(analysed)])
        counts = Counts(30 * second, 5, analysed, newest=30 * second + 4)
        shown.append(figures.update(second * 1000 * MS, counts).frame)
    assert shown == [34, 64, 94, 124, 154]


def test_other_cameras_are_not_counted() -> None:
    figures = Figures("other")
    figures.add([make_step(3)])
    figures.update(0, Counts())
    assert isnan(figures.update(100 * MS, Counts(10, None, 10)).decided_ms)
