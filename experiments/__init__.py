"""The original study's tables and figures, re-made: one module each, run as `python -m experiments.NAME`."""
