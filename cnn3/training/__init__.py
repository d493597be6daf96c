"""Training as pure functions: augmentation, optimizers, steps, epochs, metrics."""
