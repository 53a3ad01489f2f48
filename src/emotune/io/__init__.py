"""Files: tables of every format, folders, locks, cached arrays, models by name on the Hugging Face Hub."""
