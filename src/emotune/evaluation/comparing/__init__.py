"""Systems side by side: lined up, tested, told apart by group of speakers."""
