"""Hook of mkdocs.yml: navigation from docs/README.md, and links that leave docs/.

The search of a page that is opened as a file needs a small script, which the theme would
load from a server; the site gets a copy of it instead.
"""

import posixpath
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_PAGE = re.compile(r"^- \[[^]]+\]\(([\w./-]+)\)", re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)

_SHIM = "https://unpkg.com/iframe-worker/shim"
_SHIM_COPY = "assets/iframe_worker.js"


def on_config(config: Any) -> Any:
    """Take sections and order of the pages from docs/README.md."""
    docs = Path(config["docs_dir"])
    text = (docs / "README.md").read_text(encoding="utf-8")
    _, *parts = _SECTION.split(text)
    nav: list[Any] = [{"Contents": "README.md"}]
    for title, pages in zip(parts[::2], parts[1::2], strict=True):
        nav.append({title: [_page(name) for name in _PAGE.findall(pages)]})
    decisions = sorted((docs / "decisions").glob("0*.md"))
    nav.append({"Decisions": [file.relative_to(docs).as_posix() for file in decisions]})
    config["nav"] = nav
    return config


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Show links to other files of the repository as paths: the site has pages alone."""
    folder = PurePosixPath(page.file.src_uri).parent

    def link(match: re.Match[str]) -> str:
        picture, text, path, anchor = match.groups()
        place = posixpath.normpath((folder / path).as_posix())
        if place.startswith(("../", "notebooks/")):
            file = place.removeprefix("../")
            return text if text.strip("`") == file else f"{text} (`{file}`)"
        return f"{picture}[{text}]({_page(path)}{anchor or ''})"

    return "".join(
        piece if piece.startswith("```") else _LINK.sub(link, piece)
        for piece in _FENCED.split(markdown)
    )


def on_post_page(output: str, page: Any, **_: object) -> str:
    """Load the script of the search from the site."""
    up = "../" * page.file.dest_uri.count("/")
    return output.replace(_SHIM, up + _SHIM_COPY)


def on_post_template(output_content: str, **_: object) -> str:
    """Load the script of the search from the site, in pages such as 404.html."""
    return output_content.replace(_SHIM, _SHIM_COPY)


def on_post_build(config: Any) -> None:
    """Copy the script of the search."""
    source = Path(__file__).parent / "site" / "iframe_worker.js"
    target = Path(config["site_dir"], _SHIM_COPY)
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)


def _page(path: str) -> str:
    """Return a page in place of a folder."""
    return "decisions/README.md" if path.rstrip("/") == "decisions" else path
