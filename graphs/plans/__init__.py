"""What follows from a checked graph. In: a `Plan`. Out: image sizes, receptive fields, cost, and the module itself."""
