"""Public functions for notebooks; `deeplabstream` itself has their names."""
