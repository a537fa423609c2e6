"""Numbers of RFID tags, as readers send them and as settings name them."""

import re

_FDX_B = re.compile(r"(\d{3})[_ .-]?(\d{12})")
_CHECKED = re.compile(r"([0-9A-F]{10})([0-9A-F]{2})")
_HEXADECIMAL = re.compile(r"[0-9A-F]{10}|[0-9A-F]{15}|[0-9A-F]{16}")


def tag_number(text: str) -> str:
    """Return a tag's number in the one form in which numbers are compared.

    Decimal FDX-B numbers (ISO 11784: 3 digits of country or manufacturer, 12 of the animal)
    as `999_000000001234`; others as 10, 15 or 16 hexadecimal digits. Of 12 digits, the last
    two are the checksum of the ID-12LA: the bytes' exclusive or.

    Raises
    ------
    ValueError
        If the text is not such a number, or the checksum is wrong.

    Examples
    --------
    >>> tag_number("999000000001234"), tag_number("4b00da8e5c")
    ('999_000000001234', '4B00DA8E5C')
    >>> tag_number("4B00DA8E5C43")
    '4B00DA8E5C'
    """
    word = text.strip().upper()
    if decimal := _FDX_B.fullmatch(word):
        return "_".join(decimal.groups())
    if checked := _CHECKED.fullmatch(word):
        number, checksum = checked.groups()
        expected = 0
        for byte in bytes.fromhex(number):
            expected ^= byte
        if int(checksum, 16) != expected:
            raise ValueError(f"{text!r} has a wrong checksum")
        return number
    if not _HEXADECIMAL.fullmatch(word):
        raise ValueError(
            f"{text!r} is not a tag number: expected 15 digits, as 999_000000001234, or 10, 15 "
            "or 16 hexadecimal digits"
        )
    return word
