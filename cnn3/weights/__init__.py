"""Weights in files that PyTorch can read, and the pretrained weights that come with cnn3."""
