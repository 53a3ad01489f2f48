"""Models: an encoder, the aggregation of its states, conditions and heads."""
