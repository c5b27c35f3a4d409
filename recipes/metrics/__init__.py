"""Judging images. In: outputs and targets. Out: tables of metrics, baselines, intervals and verdicts."""
