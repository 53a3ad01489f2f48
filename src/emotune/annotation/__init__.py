"""Annotation of emotion by language models: prompts, engines, strict reading of answers, votes of a named rater."""
