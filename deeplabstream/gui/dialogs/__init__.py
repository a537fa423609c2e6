"""Dialogs and additional windows."""
