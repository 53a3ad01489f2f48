"""Encoder-decoder models that write what they hear: words, phonemes, an emotion, an intent, slots, by task adapters."""
