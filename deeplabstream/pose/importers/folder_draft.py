"""A model folder in the making: it is there when it is whole, and not before."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deeplabstream.core.errors import ModelError
from deeplabstream.core.overwriting import check_new
from deeplabstream.pose.model.model_folder import DESCRIPTION


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`, which takes its name if all goes well.

    If not, nothing is left of it, and errors name the folder that was asked for. ModelError
    when something is there already.
    """
    if (folder / DESCRIPTION).exists():
        raise ModelError(f"{folder} holds a model already; name a new folder")
    check_new(folder, ModelError)
    whole = folder.resolve()
    if whole == Path.cwd():
        raise ModelError(f"{whole} is where the program runs; name a new folder")
    whole.parent.mkdir(parents=True, exist_ok=True)
    draft = whole.with_name(f".{whole.name}.{os.getpid()}")
    draft.mkdir()
    try:
        yield draft
        if whole.is_dir():
            whole.rmdir()
        draft.rename(whole)
    except ModelError as error:
        raise ModelError(str(error).replace(str(draft), str(folder))) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
