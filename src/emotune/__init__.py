"""emotune: adapt pretrained speech encoders to speech emotion recognition."""

__version__ = "0.1.0"
