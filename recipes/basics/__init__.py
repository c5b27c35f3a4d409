"""What every other room uses. In: paths, tensors. Out: whole files, files read checked, talk, progress, weights."""
