"""Samples out of files, bytes and arrays, block by block, so that no recording must fit into memory as it is stored."""

from emotune.audio.decoding.arrays import opened as opened_array
from emotune.audio.decoding.files import opened as opened_file
from emotune.audio.decoding.sound import FloatArray, Sound, SoundSource

__all__ = ["FloatArray", "Sound", "SoundSource", "opened_array", "opened_file"]
