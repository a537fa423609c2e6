"""Armed rig: runs a rig as a user does who acknowledges each alarm and arms it again.

    python benchmarks/support/armed_rig.py settings.ini

Without a window, a rig ends after an alarm: only a user may arm it then. Ends by Ctrl-C.
"""

import multiprocessing
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.processes.termination import termination
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed
from deeplabstream.settings.loading import load


def main(file: Path) -> None:
    """Run the rig until a signal ends it."""
    agenda = RequestQueue(AGENDAS["analysis"])
    with termination() as requests, RigSession(load(file)) as session:
        while not requests.requested:
            for news in session.poll():
                if isinstance(news, Note | Failed):
                    print(news.text, flush=True)
            agenda.advance(session)
            state = session.state
            waits = agenda.done and not (state.armed or state.recording)
            if waits and Action.ARM in state.allowed:
                session.acknowledge()
                session.do(Action.ARM)
            session.rest(0.02)


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main(Path(sys.argv[1]))
