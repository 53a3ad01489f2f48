"""The process: interrupts, threads, memory and progress."""
