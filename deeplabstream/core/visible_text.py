"""Visible text: text of files and devices, shown without control characters."""

from unicodedata import category

_HIDDEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
"""Categories of characters that control a terminal, hide text or change its order."""


def visible(text: str, keep: str = "") -> str:
    r"""Return text in which control characters are written as escapes.

    `keep` has those that stay, such as the line ends of a message of several lines.

    >>> print(visible("\x1b[32mright\n"))
    \x1b[32mright\n
    """
    if text.isprintable():
        return text
    return "".join(
        sign
        if sign in keep or category(sign) not in _HIDDEN
        else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )
