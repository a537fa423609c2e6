"""All cameras that are filmed at present, and the room that is left for their videos."""

import shutil
from collections.abc import Callable, Mapping, Sequence

from core.errors import DeviceError
from core.ring import Ring
from recording.accounts import Accounts
from recording.filming import Filming
from recording.recipe import MB, Recipe
from recording.run_folder import RunFolder


class Takes:
    """Starts and stops the films; `failed` is told, from any thread, why they end."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._films: dict[str, Filming] = {}
        self._recipe = Recipe()
        self._folder: RunFolder | None = None
        self._full = False

    def __bool__(self) -> bool:
        """Whether anything is filmed."""
        return bool(self._films)

    def start(
        self,
        folder: RunFolder,
        rings: Sequence[Ring],
        recipe: Recipe,
        knows_losses: Mapping[str, bool],
    ) -> list[str]:
        """Film these rings too; return how videos will differ from what was asked for.

        DeviceError says why nothing can be filmed.
        """
        rings = [ring for ring in rings if ring.spec.camera not in self._films]
        for ring in rings:
            recipe.check_form(ring.spec.camera, ring.spec.format)
        remarks = [
            remark
            for ring in rings
            for remark in recipe.remarks(ring.spec.camera, ring.spec.format)
        ]
        try:
            recipe.check_room(folder.path, [ring.spec.format for ring in rings])
            self._folder, self._recipe, self._full = folder, recipe, False
            for ring in rings:
                name = ring.spec.camera
                knows = knows_losses.get(name, False)
                self._films[name] = Filming(
                    ring,
                    lambda name=name: folder.new_video_path(name),  # type: ignore[misc]
                    recipe,
                    knows,
                    self._failed,
                )
        except OSError as error:
            said = error.strerror or str(error)
            raise DeviceError(
                f"Nothing is recorded, the disk failed: {said}"
            ) from error
        return remarks

    def stop(self, waits: Callable[[], object] = lambda: None) -> tuple[Accounts, ...]:
        """Complete all films and say where their frames went; `waits` is called meanwhile."""
        films = self._films
        for film in films.values():
            film.stop()
        for film in films.values():
            while not film.finished(0.25):
                waits()
        accounts = tuple(film.accounts() for film in films.values())
        self._films = {}
        return accounts

    def sync(self) -> None:
        """Have the disk itself take what was filmed, and see how much room it has left."""
        for film in list(self._films.values()):
            film.sync()
        if self._films and self._folder is not None and not self._full:
            free = shutil.disk_usage(self._folder.path).free
            if free < self._recipe.min_free_bytes:
                self._full = True
                self._failed(
                    f"Recording has ended: only {free / MB:.0f} MB are free on the disk, "
                    f"and [Recording] MIN_FREE_MB = {self._recipe.min_free_bytes // MB}"
                )

    def recorded(self) -> dict[str, int]:
        """Return how many frames are in the videos of each camera so far."""
        return {name: film.recorded for name, film in self._films.items()}

    def waiting(self) -> dict[str, int]:
        """Return how many frames of each camera wait to be filmed."""
        return {name: film.waiting for name, film in self._films.items()}

    def losses(self) -> dict[str, int]:
        """Return how many frames of each camera were lost to its video so far."""
        return {name: film.losses for name, film in self._films.items()}
