"""Start of a program: environment checks, command line, progress, standard streams, Qt."""
