"""Training: fine-tuning on the transformers Trainer, probes on frozen features, and the run folder that keeps both."""
