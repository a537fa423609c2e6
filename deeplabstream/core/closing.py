"""What is closed at the end of a `with`."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """`with` gives the thing itself, and closes it on every way out."""

    @abstractmethod
    def close(self) -> None:
        """Be done with it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
