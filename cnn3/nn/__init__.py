"""The network, its layers, and the kernels that compute them."""
