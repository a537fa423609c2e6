"""Take the screenshots of the documentation: each page during the example experiment.

Uses a copy of the settings and records beside it, so that screenshots show nothing else of
this computer.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from deeplabstream.engine.processes.termination import termination
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.files.paths import ROOT
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import SettingsFile, settings_file
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.qt_environment import why_no_window
from deeplabstream.training.data.simulated_labels import draw_labels

LABELLED_FRAMES = 24
SHAPE = (480, 640, 3)


@program_options
class TakeScreenshots:
    """The rig that the screenshots show, and where they go."""

    settings: SettingsFile = settings_file()
    output: Path | None = option(default=None, metavar="FOLDER")
    """Folder of the images; default: docs/images."""
    after: float = option(default=15.0, metavar="SECONDS")
    """Duration of the experiment before the screenshots."""
    rack: bool = option(default=False)
    """Take those of a rack of simulated boxes instead."""


def take_screenshots(options: TakeScreenshots) -> int:
    """Take the screenshots; return 0 if there are any, else 1 or the code of a signal."""
    if reason := why_no_window():
        print(reason)
        return 1
    from deeplabstream.gui.application import application

    application()
    output = options.output or ROOT / "docs/images"
    if options.rack:
        return _of_rack(output, options.after)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        labels, settings = Path(folder) / "labels", Path(folder) / "settings.ini"
        settings.write_bytes(options.settings.read_bytes())
        draw_labels(labels, SHAPE, LABELLED_FRAMES, walks=40, seed=100)
        images, code = _taken(settings, labels, output, options.after)
    print(*images, sep="\n")
    return code or (0 if images else 1)


def _of_rack(output: Path, after_s: float) -> int:
    """Take the screenshots of a rack; return the exit code."""
    from deeplabstream.gui.application import run_until_closed
    from deeplabstream.gui.rack_screenshots import RackPhotographer, simulated_rack
    from deeplabstream.gui.rack_window import RackWindow
    from deeplabstream.programs.run_rack import RackOptions, window_command

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rack = simulated_rack(Path(folder))
        command = window_command(RackOptions(file=rack.path), rack)
        window = RackWindow(rack, [*rack.boxes], command)
        photographer = RackPhotographer(window, output, after_s)
        code = run_until_closed(window, end=window.end)
    print(*photographer.taken, sep="\n")
    return code or (0 if photographer.taken else 1)


def _taken(
    settings: Path, labels: Path, output: Path, after_s: float
) -> tuple[list[Path], int]:
    """Return the screenshots, and the exit code of the window."""
    from deeplabstream.gui.application import run_until_closed
    from deeplabstream.gui.bridge import Bridge
    from deeplabstream.gui.main_window import MainWindow
    from deeplabstream.gui.screenshots import Photographer
    from deeplabstream.gui.settings_document import Document

    with termination(), RigSession(load(settings)) as session:
        bridge = Bridge(session, RequestQueue(AGENDAS["experiment"]))
        window = MainWindow(bridge, Document(settings))
        photographer = Photographer(window, output, after_s, labels)
        bridge.stepped.connect(photographer.on_steps)
        bridge.failed.connect(print)
        bridge.status_changed.connect(photographer.take_status)
        bridge.start()
        code = run_until_closed(window, end=window.end, outputs_off=window.outputs_off)
    return photographer.taken, code


PROGRAM = Program(TakeScreenshots, take_screenshots, __doc__, "TakeScreenshots")
