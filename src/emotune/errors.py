"""The errors a user can meet. Each message says what was wrong, what was expected and what to do."""


class EmotuneError(Exception):
    """Base of every error that emotune raises on user input."""


class ConfigError(EmotuneError):
    """A recipe, an override or an option is wrong. Carries every fault found, one a line."""


class CorpusError(EmotuneError):
    """A corpus folder, its labels or its splits are not as they should be."""


class TableError(EmotuneError):
    """A manifest, prediction table or user table cannot be read or written."""


class AudioError(EmotuneError):
    """A recording cannot be decoded or cannot be used."""


class ModelError(EmotuneError):
    """A model folder or a pretrained checkpoint cannot be loaded as it should be."""
