"""Vesper: an encoder of fewer layers that learns, without labels, what the whole one hears."""
