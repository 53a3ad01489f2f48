"""The tables and folders that rooms hand to each other: manifests, predictions, splits, calibrations, runs."""
