"""A queue's sessions on a Dask cluster, for labs beyond one machine.

The cluster only says who works at what next; claims, retries and the table of the queue
stay as they are, so that workers of both kinds can share one tree.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

_OPENED: dict[tuple[str, str], Any] = {}
"""Of this worker: networks are opened once."""


def run_on(
    client: "Client",
    folder: str | Path,
    *,
    pipeline: str | Path = "ibl",
    ckpts_path: str | Path | None = None,
    work: Work | None = None,
    retries: int = RETRIES,
) -> int:
    """Work at all sessions of a tree on a cluster; return at how many was worked.

    Workers see the tree, the pipeline and the networks under the same paths. A worker
    that dies is replaced by the cluster, and its session is taken over.
    """
    queue = open_queue(folder, "dask", pipeline, retries=retries)
    worked = 0
    for _ in range(retries):
        left = [s for s in queue.sessions() if not queue.state_is_final(s)]
        if not left:
            break
        arguments = (
            str(queue.root),
            str(pipeline),
            str(ckpts_path or ""),
            retries,
            work,
        )
        futures = [
            client.submit(
                _attempt, str(session), *arguments, pure=False, retries=retries
            )
            for session in left
        ]
        worked += sum(client.gather(futures))  # type: ignore[no-untyped-call]
    queue.write_last_status()
    return worked


def _attempt(
    session: str,
    root: str,
    pipeline: str,
    folder: str,
    retries: int,
    work: Callable[[Path], object] | None,
) -> bool:
    """Work at one session, in a worker of the cluster."""
    from distributed import get_worker

    queue = open_queue(root, str(get_worker().name), pipeline, retries=retries)
    return queue.attempt(Path(session), work or _whole(queue, pipeline, folder))


def _whole(queue: Queue, pipeline: str, folder: str) -> Work:
    plan = load_pipeline(pipeline)
    if (pipeline, folder) not in _OPENED:
        opened = networks_of(plan, Path(folder) if folder else None)
        _OPENED[pipeline, folder] = opened
    return whole_session(queue, plan, _OPENED[pipeline, folder])
