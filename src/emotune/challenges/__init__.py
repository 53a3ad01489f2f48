"""Files that challenges ask for."""
