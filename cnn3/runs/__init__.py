"""A run from its configuration to its result: files, locks, compiled programs, progress."""
