"""Computer section: another computer whose rack is shown on the page in the browser."""

from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugins.remote import is_loopback


@settings(frozen=True, kw_only=True)
class ComputerSection:
    """Another computer: the page in the browser shows the boxes of its page, too."""

    address: str = Field(
        description="address of its page, such as https://rig2.lab:8080; http:// only for an "
        "ssh tunnel that ends at this computer"
    )
    token_file: Path | None = Field(
        None,
        description="file with the token of its page; empty: it has none",
        title="Token",
    )
    certificate: Path | None = Field(
        None,
        description="certificate of its page (PEM); empty: one that an authority has signed",
    )

    @field_validator("address")
    @classmethod
    def _is_safe(cls, address: str) -> str:
        """Refuse addresses at which the token could be read on the way."""
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not host:
            raise ValueError("must begin with https:// and name a computer")
        place = f"{parts.scheme}://{parts.netloc}"
        if address.rstrip("/") != place or "@" in parts.netloc or not _has_port(parts):
            raise ValueError("must end with the computer's name or its port")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValueError(
                "http:// is readable on the way; serve that page with a certificate and "
                "enter https://, or use an ssh tunnel"
            )
        return place


def _has_port(parts: SplitResult) -> bool:
    """Return whether the port is a number or left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False
