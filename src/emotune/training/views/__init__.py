"""Multi-view contrastive pre-training: its data, task, figures and runs."""
