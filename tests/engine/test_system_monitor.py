import multiprocessing
from pathlib import Path

from deeplabstream.engine.checks.system_monitor import SystemMonitor, SystemStatus


def test_a_process_that_works_is_seen_and_one_that_ended_is_not(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    process = spawn.Process(target=stop.wait, name="worker")
    process.start()
    try:
        monitor = SystemMonitor()
        monitor.measure([process], tmp_path)
        found = monitor.measure([process], tmp_path / "not" / "yet")
        assert found.cores.keys() == {"worker"}
        assert found.cores["worker"] >= 0
        assert found.memory_mb > 0
        assert found.disk_free_gb is not None
        assert "worker" in found.text
    finally:
        stop.set()
        process.join()
    ended = monitor.measure([process], tmp_path)
    assert ended.cores == {}
    assert ended.memory_mb == 0


def test_a_warning_is_given_once_until_it_is_over(tmp_path: Path) -> None:
    monitor = SystemMonitor()

    def told(second: int, waiting: int) -> list[str] | None:
        if monitor.measure_due([], tmp_path, second * 10**9, waiting) is None:
            return None
        return [text for text in monitor.new_warnings if "wait" in text]

    assert told(1, 0) == []
    assert told(1, 5000) is None, "once a second"
    assert told(2, 5000) == ["5000 entries wait to be recorded: is the disk slow?"]
    assert told(3, 5001) == []
    assert told(4, 0) == []
    assert told(5, 1001) != []


def test_a_full_disk_and_heat_are_warned_of() -> None:
    assert SystemStatus({}, 0.0, 100.0, 60.0, None).warnings == {}
    assert SystemStatus({}, 0.0, None, None, None).warnings == {}
    assert list(SystemStatus({}, 0.0, 1.9, 91.0, None).warnings) == ["disk", "heat"]
