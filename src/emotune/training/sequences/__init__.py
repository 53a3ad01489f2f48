"""Training of sequence models: their tasks' data, losses, scores and runs."""
