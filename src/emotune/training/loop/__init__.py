"""The training loop: steps, checkpoints, processes, schedules."""
