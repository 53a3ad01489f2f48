"""Pre-training: encoders that learn of recordings without labels, by the training loop, for a recipe's task."""
