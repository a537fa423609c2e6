import multiprocessing
from pathlib import Path

from deeplabstream.engine.checks.system_monitor import SystemMonitor, SystemStatus


def test_a_process_that_works_is_seen_and_one_that_ended_is_not(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    process = spawn.Process(target=stop.wait, name="worker")
    process.start()
    try:
        physician = SystemMonitor()
        physician.look([process], tmp_path)
        found = physician.look([process], tmp_path / "not" / "yet")
        assert found.cores.keys() == {"worker"}
        assert found.cores["worker"] >= 0
        assert found.memory_mb > 0
        assert found.disk_free_gb is not None
        assert "worker" in found.text
    finally:
        stop.set()
        process.join()
    ended = physician.look([process], tmp_path)
    assert ended.cores == {}
    assert ended.memory_mb == 0


def test_what_worries_is_told_once_until_it_is_over(tmp_path: Path) -> None:
    physician = SystemMonitor()

    def told(second: int, waiting: int) -> list[str] | None:
        if physician.visit([], tmp_path, second * 10**9, waiting) is None:
            return None
        return [text for text in physician.new_worries if "wait" in text]

    assert told(1, 0) == []
    assert told(1, 5000) is None, "once a second"
    assert told(2, 5000) == ["5000 entries wait to be recorded: is the disk slow?"]
    assert told(3, 5001) == []
    assert told(4, 0) == []
    assert told(5, 1001) != []


def test_a_full_disk_and_heat_are_worries() -> None:
    assert SystemStatus({}, 0.0, 100.0, 60.0, None).worries == {}
    assert SystemStatus({}, 0.0, None, None, None).worries == {}
    assert list(SystemStatus({}, 0.0, 1.9, 91.0, None).worries) == ["disk", "heat"]
