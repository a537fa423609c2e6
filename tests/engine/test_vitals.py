import multiprocessing
from pathlib import Path

from engine.vitals import Physician


def test_a_process_that_works_is_seen_and_one_that_ended_is_not(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    process = spawn.Process(target=stop.wait, name="worker")
    process.start()
    try:
        physician = Physician()
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
