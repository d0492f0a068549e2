"""Benchmarks: ratios against named baselines, all measured in one run on one machine."""
