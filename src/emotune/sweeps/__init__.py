"""Sweeps: equal numbers of trials for each compared arm, and how much of the best one was luck."""
