"""Figures of the pages, as SVG that needs no other file."""
