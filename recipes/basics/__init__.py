"""What every other room uses. In: paths and tensors. Out: files written whole, progress, colours, cached weights."""
