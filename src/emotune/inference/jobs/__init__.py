"""Prediction over many recordings: parts, processes, clusters."""
