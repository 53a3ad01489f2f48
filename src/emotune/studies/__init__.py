"""Studies: steps of a recipe over several seeds, trained, compared with each other, and on one page."""
