"""Training: fine-tuning in one process or many, probes on frozen features, and the run folder that keeps both."""
