"""Annotators' votes: labels from them, and how far the annotators agree."""

RULES = ("given", "plurality", "majority")
TIES = ("no_agreement", "first", "random")
OTHERS = ("keep", "leave_out", "votes_only")
NO_AGREEMENTS = ("leave_out", "votes", "class")
