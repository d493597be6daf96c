"""A run from its configuration to its result: its folder, compilation, training loop and progress display."""
