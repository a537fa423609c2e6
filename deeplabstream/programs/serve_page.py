"""Show all boxes of a rack on a page in the browser: states, images, losses, alarms.

    python utils/ServePage.py rack.ini

The page reads only. It is a program of its own: it can start and end while the rack runs.
It shows the boxes of other computers, too, whose pages the file names as [Computer NAME].
Other computers can see it only with --host, a token and a certificate.
"""

from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.plugins.remote import is_loopback, read_token
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import load_rack

_STDIN, _STDOUT = 0, 1


@program_options
class PageOptions:
    """The rack, and where its page is served."""

    file: Path = option(positional=True, metavar="FILE")
    """Rack file."""
    host: str = option(default="127.0.0.1", metavar="ADDRESS")
    """Address of this computer at which the page is served; 0.0.0.0: all of them."""
    port: int = option(default=8080, ge=0, le=65535)
    """Port; 0: any that is free."""
    token_file: Path | None = option(default=None, metavar="FILE")
    """File with the token that a viewer must enter."""
    certificate: Path | None = option(default=None, metavar="FILE")
    """Certificate for HTTPS, PEM."""
    key: Path | None = option(default=None, metavar="FILE")
    """Its key, PEM."""
    by_rack: bool = option(default=False)
    """End with standard input; with a token, write commands of viewers to standard output and
    read the answers from standard input. The rack starts its page by this."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise DeepLabStreamError("certificate and key belong together: give both")
        if not is_loopback(self.host):
            missing = [
                name
                for name in ("token_file", "certificate", "key")
                if getattr(self, name) is None
            ]
            if missing:
                raise DeepLabStreamError(
                    f"host {self.host}: other computers could see the rack; give "
                    f"{', '.join(missing)}, or leave host at 127.0.0.1"
                )


def serve(options: PageOptions) -> int:
    """Serve the page until Ctrl-C."""
    check_packages("the page", ["starlette", "uvicorn", "httpx"])
    from deeplabstream.web.page_server import Address, serve_page
    from deeplabstream.web.rack_link import RackLink

    rack = load_rack(options.file, only_shown=True)
    token = read_token(options.token_file)
    address = Address(options.host, options.port, options.certificate, options.key)
    if options.by_rack:
        link = RackLink(_STDIN, _STDOUT, bool(token))
        serve_page(rack, address, token, link, link.served)
    else:
        serve_page(rack, address, token, None, lambda text: print(text, flush=True))
    return 0


PROGRAM = Program(PageOptions, serve, __doc__, "ServePage", uses_rig=False)
