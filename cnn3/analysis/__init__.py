"""What trained weights say: latent spaces, calibration, and what a network costs."""
