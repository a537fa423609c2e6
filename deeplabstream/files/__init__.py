"""Files: safe reading of foreign files, atomic replacement, locks, folders of the program."""
