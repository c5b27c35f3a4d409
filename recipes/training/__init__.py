"""Recipes at work: one step, one loop, one run with its folder and checkpoints."""
