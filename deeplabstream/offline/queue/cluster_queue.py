"""Cluster queue: sessions of a queue on several computers, through Slurm (submitit) or Dask.

The scheduler decides which computer processes which session. Retries and the table of the
queue are those of `session_queue`.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from deeplabstream.offline.ibl.pipeline import load_pipeline
from deeplabstream.offline.ibl.pipeline_networks import networks_of
from deeplabstream.offline.queue.session_queue import (
    RETRIES,
    Queue,
    Work,
    open_queue,
    whole_session,
)

if TYPE_CHECKING:
    from distributed import Client
    from submitit import Executor

Arguments: TypeAlias = tuple[str, str, str, str, int, Work | None]
"""Arguments of `attempt_session`."""
_log = logging.getLogger("offline")
_OPENED: dict[tuple[str, str], Any] = {}
"""Networks of this worker, opened once."""


def run_on_slurm(
    executor: "Executor",
    folder: str | Path,
    *,
    pipeline: str | Path = "ibl",
    ckpts_path: str | Path | None = None,
    work: Work | None = None,
    retries: int = RETRIES,
) -> int:
    """Process all sessions of a tree as jobs of Slurm; return how many were processed.

    `executor` is a `submitit.AutoExecutor` with the time, memory and GPUs of one session.
    All computers see the tree, the pipeline and the networks under the same paths. A job
    that Slurm ends is submitted again, as often as a session that failed.
    """

    def run_jobs(jobs: Sequence[Arguments]) -> list[bool]:
        with executor.batch():
            submitted = [executor.submit(attempt_session, *job) for job in jobs]
        return [_was_processed(job) for job in submitted]

    return _run(run_jobs, folder, pipeline, ckpts_path, work, retries)


def run_on_dask(
    client: "Client",
    folder: str | Path,
    *,
    pipeline: str | Path = "ibl",
    ckpts_path: str | Path | None = None,
    work: Work | None = None,
    retries: int = RETRIES,
) -> int:
    """Process all sessions of a tree on a Dask cluster; return how many were processed.

    Workers see the tree, the pipeline and the networks under the same paths. The cluster
    replaces a worker that dies, and another one processes its session.
    """

    def run_jobs(jobs: Sequence[Arguments]) -> list[bool]:
        futures = [
            client.submit(attempt_session, *job, pure=False, retries=retries)
            for job in jobs
        ]
        return list(client.gather(futures))  # type: ignore[no-untyped-call]

    return _run(run_jobs, folder, pipeline, ckpts_path, work, retries)


def _run(
    run_jobs: Callable[[Sequence[Arguments]], list[bool]],
    folder: str | Path,
    pipeline: str | Path,
    ckpts_path: str | Path | None,
    work: Work | None,
    retries: int,
) -> int:
    queue = open_queue(folder, "scheduler", pipeline, retries, scheduled=True)
    options = str(queue.root), str(pipeline), str(ckpts_path or ""), retries, work
    processed = 0
    # Each round submits the sessions that are neither done nor set aside; a session is
    # set aside after `retries` failures, so that many rounds are enough.
    for _ in range(retries):
        left = [s for s in queue.sessions() if not queue.state_is_final(s)]
        if not left:
            break
        processed += sum(run_jobs([(str(session), *options) for session in left]))
    queue.write_last_status()
    return processed


def _was_processed(job: Any) -> bool:
    """Wait for a job of Slurm; False when Slurm ended it."""
    try:
        return bool(job.result())
    except Exception as error:  # a killed job must not stop the others
        _log.error("Slurm job %s failed: %s", job.job_id, error)
        return False


def attempt_session(
    session: str, root: str, pipeline: str, folder: str, retries: int, work: Work | None
) -> bool:
    """Process one session in a worker; False when it was processed before."""
    queue = open_queue(root, None, pipeline, retries, scheduled=True)
    return queue.attempt(Path(session), work or _whole(queue, pipeline, folder))


def _whole(queue: Queue, pipeline: str, folder: str) -> Work:
    plan = load_pipeline(pipeline)
    if (pipeline, folder) not in _OPENED:
        opened = networks_of(plan, Path(folder) if folder else None)
        _OPENED[pipeline, folder] = opened
    return whole_session(queue, plan, _OPENED[pipeline, folder])
