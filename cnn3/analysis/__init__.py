"""Analysis: latent spaces, calibration, and the cost of a configuration."""
