"""Take the screenshots of the documentation: each page during the example experiment.

Uses a copy of the settings and records beside it, so that screenshots show nothing else of
this computer.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import multiprocessing
import subprocess
from collections.abc import Sequence
from tempfile import TemporaryDirectory


from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.engine.processes.termination import termination
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.settings.loading import load
from deeplabstream.gui.application import application, run_until_closed
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.qt_environment import why_no_window
from deeplabstream.gui.screenshots import Photographer
from deeplabstream.gui.main_window import MainWindow

HERE = Path(__file__).resolve().parents[1]


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Take the screenshots; return 0 if there are any, else 1 or the code of a signal."""
    options = ProgramParser(prog="TakeScreenshots.py", description=__doc__)
    options.add_settings()
    options.add_argument("--output", type=Path, default=HERE / "docs/images")
    options.add_argument(
        "--after",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="duration of the experiment before the screenshots (default: 15)",
    )
    chosen = options.parse_args(argv)
    if reason := why_no_window():
        print(reason)
        return 1
    application()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        labels, settings = Path(folder) / "labels", Path(folder) / "settings.ini"
        settings.write_bytes(chosen.settings.read_bytes())
        draw = [sys.executable, str(HERE / "utils/DrawLabels.py"), str(labels)]
        subprocess.run([*draw, "--frames", "24"], check=True, stdout=subprocess.DEVNULL)
        taken, code = _taken(settings, labels, chosen.output, chosen.after)
    print(*taken, sep="\n")
    return code or (0 if taken else 1)


def _taken(
    settings: Path, labels: Path, output: Path, after_s: float
) -> tuple[list[Path], int]:
    """Return the screenshots, and the exit code of the window."""
    with termination(), RigSession(load(settings)) as session:
        bridge = Bridge(session, RequestQueue(AGENDAS["experiment"]))
        window = MainWindow(bridge, Document(settings))
        camera = Photographer(window, output, after_s, labels)
        bridge.stepped.connect(camera.on_steps)
        bridge.failed.connect(print)
        bridge.status_changed.connect(camera.take_status)
        bridge.start()
        code = run_until_closed(window, end=window.end, outputs_off=window.outputs_off)
    return camera.taken, code


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
