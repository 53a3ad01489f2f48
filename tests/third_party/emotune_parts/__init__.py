"""Parts of a model and of its training that come with another package: one of each kind, and their options."""
