"""Networks by name. In: a name, path, `Graph` or `Plan`. Out: an `nn.Module`, also with weights from elsewhere."""
