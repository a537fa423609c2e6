"""The windows; PyQt5 lives only here."""
