"""Words against voice: which of the two a model's answers go by."""
