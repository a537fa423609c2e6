"""Bodies of the processes: camera, engine, recorder, guard."""
