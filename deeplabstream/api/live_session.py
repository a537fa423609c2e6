"""A live session driven from a notebook or a script."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    carried_out,
)
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    News,
    Phase,
    SessionState,
    StateChanged,
)
from deeplabstream.settings.loading import load
from deeplabstream.settings.sections import Settings

What: TypeAlias = Literal["stream", "analysis", "experiment"]
_REST_S = 0.03


class Session(RigSession):
    """A rig from start to stop: cameras, network, experiment, outputs, record.

    Use it in a `with`: leaving it ends everything, the outputs first. `start`, `events` and
    `stop` wait; `do`, `poll` and `newest` never do. `state` is a snapshot: phase, counts,
    output levels, alarms and more, as of the last `poll`. In a script on Windows and macOS,
    call it below `if __name__ == "__main__":`.

    Parameters
    ----------
    settings : Settings, str or pathlib.Path
        What `open_run(...).settings` gives, or a settings file.

    Raises
    ------
    SettingsError
        The settings are wrong; it lists all problems.

    Examples
    --------
    >>> with dls.Session("settings.ini") as session:
    ...     session.start("experiment", record=True)
    ...     for event in session.events(seconds=60):
    ...         if isinstance(event, dls.Step) and event.commands:
    ...             print(event.index, event.commands)
    ...     run_folder = session.stop()
    >>> run = dls.open_run(run_folder)
    """

    def __init__(self, settings: Settings | str | Path) -> None:
        given = settings if isinstance(settings, Settings) else load(Path(settings))
        super().__init__(given)
        self._early: list[News] = []

    def start(
        self, what: What = "experiment", *, record: bool = False, timeout_s: float = 60
    ) -> None:
        """Start the stream and all parts that depend on it; return when they run.

        Parameters
        ----------
        what : {"stream", "analysis", "experiment"}
            How much to start. Each includes the ones before it.
        record : bool
            Whether the videos are recorded. The experiment then starts when every recorded
            camera has a frame in its video.
        timeout_s : float
            Seconds to wait; opening cameras and loading a network take some.

        Raises
        ------
        DeviceError
            Something failed, or it did not run in time. The stream is stopped then.
        """
        stream, *more = AGENDAS[what]
        agenda = RequestQueue([stream, *[Action.START_RECORDING] * record, *more])
        awaited = {"stream", what, *["recording"] * record}
        try:
            for entries in carried_out(agenda, self, timeout_s):
                self._early += entries
                for news in entries:
                    if isinstance(news, StateChanged):
                        awaited -= _running(news.state)
                failed = [e.text for e in entries if isinstance(e, Failed) and e.grave]
                if failed:
                    raise DeviceError("; ".join(failed))
            if awaited:
                raise DeviceError(
                    f"not started, see the notes: {', '.join(sorted(awaited))}"
                )
        except DeviceError:
            self.close("failed to start")
            raise

    def events(self, seconds: float) -> Iterator[News]:
        """Yield the events of the session as they occur.

        Parameters
        ----------
        seconds : float
            How long; it ends sooner when the stream ends.

        Yields
        ------
        News
            `Step`: an analysed frame with its pose, triggers and commands. `Edge`: an
            output was written. `StateChanged`, `Failed`, `Note` and others: see
            docs/api.md.
        """
        clock = SystemClock()
        end_ns = clock.now_ns() + round(seconds * 1e9)
        while True:
            early, self._early = self._early, []
            yield from [*early, *self.poll()]
            left_s = (end_ns - clock.now_ns()) / 1e9
            if left_s <= 0 or self.state.phase is Phase.IDLE:
                return
            self.rest(min(_REST_S, left_s))

    def stop(self) -> Path | None:
        """Stop all parts, outputs first; return the run folder when it is complete.

        Returns
        -------
        pathlib.Path or None
            The run folder; None: nothing was analysed or recorded.
        """
        self.close()
        return self.state.run_folder


def _running(status: SessionState) -> set[str]:
    """Return the names of the running parts, as in `start`."""
    runs = {
        "stream": status.phase is Phase.STREAMING,
        "analysis": status.analysing,
        "experiment": status.experimenting,
        "recording": status.recording,
    }
    return {name for name, is_running in runs.items() if is_running}
