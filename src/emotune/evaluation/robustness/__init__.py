"""The same recordings under degradations: noise, rooms, codecs, other voices."""
