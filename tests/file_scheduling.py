"""Scheduler of pytest-xdist by files that survives the crash of a worker.

pytest-xdist 3.8 returns all files of a crashed worker to the queue, also those whose tests have
all ended. A worker that gets such a file has nothing to run, so it never reports again, and the
run never ends.
"""

from xdist.scheduler.loadfile import LoadFileScheduling
from xdist.workermanage import WorkerController


class CrashTolerantFileScheduling(LoadFileScheduling):
    """Distribute tests by files, and only the unfinished files of a crashed worker again."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the unfinished files of this worker to the queue, and the test it ran."""
        workload = self.assigned_work[node]
        for file in [file for file, tests in workload.items() if all(tests.values())]:
            del workload[file]
        return super().remove_node(node)

    def schedule(self) -> None:
        """Give each worker two files, since it runs its last test only when more follow."""
        super().schedule()
        for node in self.nodes if self.collection else ():
            self._reschedule(node)
