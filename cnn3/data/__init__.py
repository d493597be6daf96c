"""Data sets in memory: `load` returns training, validation and test images as uint8, and their labels."""
