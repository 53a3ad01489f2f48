"""Adapter folders of the library PEFT: read onto their base and folded in, and written."""
