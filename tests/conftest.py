"""Settings of all tests."""

from hypothesis import settings

# Compilation makes a first example slow, and no test may depend on the machine's speed.
settings.register_profile("cnn3", deadline=None, derandomize=True)
settings.load_profile("cnn3")
