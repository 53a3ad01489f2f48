"""Training data: utterances decoded and augmented on the fly, in batches of similar duration."""
