"""Recipes: their sections, their keys, and how they are read."""
