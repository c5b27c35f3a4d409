"""Trained models. In: a run or a weights file. Out: translated images, files and tables."""
