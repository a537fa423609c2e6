"""Programs: each is a settings dataclass and a function that takes it.

`utils/NAME.py` and `deeplabstream NAME` start the same `Program`. Command line, form of the
window, page of the documentation and checks come from the dataclass.
"""
