"""What every other room uses. In: paths, tensors. Out: files written whole and read checked, talk, progress, weights."""
