"""Experiments: the harness that runs, judges and draws, and the papers and studies that use it."""
