"""Tests of the scheduler of tests: a crashed worker's files are run, and the run ends."""

from types import SimpleNamespace
from typing import Any

from tests.file_scheduling import CrashTolerantFileScheduling

TESTS = [f"test_{number}.py::test" for number in range(8)]


class FakeWorker:
    """A worker that keeps the tests it is to run."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.to_run: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.to_run += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def _scheduling() -> Any:
    options = {"tx": ["popen", "popen"]}
    config = SimpleNamespace(
        getvalue=options.get, option=SimpleNamespace(loadscopereorder=True)
    )
    return CrashTolerantFileScheduling(config)  # type: ignore[arg-type]


def _add(scheduling: Any, worker: FakeWorker) -> None:
    scheduling.add_node(worker)
    scheduling.add_node_collection(worker, TESTS)
    if scheduling.collection_is_completed:
        scheduling.schedule()


def _run(scheduling: Any, worker: FakeWorker) -> list[str]:
    """Run tests as a worker does: the last one only once more follow, or at the end."""
    run = []
    while len(worker.to_run) > 1 or (worker.to_run and worker.shutting_down):
        index = worker.to_run.pop(0)
        run.append(TESTS[index])
        scheduling.mark_test_complete(worker, index)
    return run


def test_all_tests_run_and_the_run_ends_after_a_crash() -> None:
    scheduling = _scheduling()
    crashing, other = FakeWorker("crashing"), FakeWorker("other")
    _add(scheduling, crashing)
    _add(scheduling, other)
    run = [TESTS[index] for index in crashing.to_run[:1]]
    scheduling.mark_test_complete(crashing, crashing.to_run.pop(0))

    crashed_at = scheduling.remove_node(crashing)
    _add(scheduling, replacing := FakeWorker("replacing"))
    run += _run(scheduling, replacing) + _run(scheduling, other)

    assert crashed_at == TESTS[crashing.to_run[0]]
    assert sorted(run) == TESTS
    assert other.shutting_down and replacing.shutting_down
    assert not scheduling.has_pending
