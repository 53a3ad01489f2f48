"""Parts of a model, of its training and of its evaluation that come with another package: one of each kind."""
