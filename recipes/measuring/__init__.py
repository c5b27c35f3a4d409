"""How good the images are: metrics, trivial baselines, and the test images through the networks."""
