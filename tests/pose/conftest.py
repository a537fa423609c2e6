"""A card that is none."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from deeplabstream.pose.runtimes.torch_plan import Graph


@pytest.fixture
def no_numbers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let torch pretend that there is a card.

    torch's own FakeTensor has the devices, shapes and types of a card and no numbers: it
    refuses what mixes memories, and whatever would have to wait for a number to come back,
    which no CUDA graph can hold. What is known before the first picture is worked out as
    ever.
    """
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card of no kind")
    # what torch pretends here indexes, which it can't where it was built without CUDA
    monkeypatch.setattr(torch.nn.functional, "grid_sample", _sampled)
    from_numpy = torch.from_numpy
    for name in ("__init__", "planned"):
        theirs = getattr(Graph, name)

        def real(*given: Any, theirs: Any = theirs) -> Any:
            with unset_fake_temporarily():
                return theirs(*given)

        monkeypatch.setattr(Graph, name, real)
    with FakeTensorMode() as fakes:
        monkeypatch.setattr(
            torch, "from_numpy", lambda it: fakes.from_tensor(from_numpy(it))
        )
        yield


def _sampled(maps: torch.Tensor, grid: torch.Tensor, *_: Any) -> torch.Tensor:
    if maps.device != grid.device or maps.dtype != grid.dtype:
        raise RuntimeError("maps and grid must be of one kind, in one place")
    return maps.new_empty((*maps.shape[:2], *grid.shape[1:3]))
