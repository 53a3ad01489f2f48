"""Tables that others made: their columns, missing values, paths, times and ratings, read as fields of utterances."""
