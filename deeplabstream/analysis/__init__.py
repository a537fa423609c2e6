"""Results of recorded runs: measures, phases, plots."""
