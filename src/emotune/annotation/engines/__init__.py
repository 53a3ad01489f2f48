"""Engines of annotation: what answers a prompt. Others' come by the entry-point group ``emotune.annotation_engine``."""

from __future__ import annotations

from emotune.annotation.engines.engine import AnnotationEngine, EngineOptions
from emotune.errors import ConfigError
from emotune.registry import Registry

ENGINES: Registry[type[AnnotationEngine]] = Registry(
    "annotation engine",
    {
        "lexicon": "emotune.annotation.engines.lexicon:LexiconEngine",
        "gguf": "emotune.annotation.engines.gguf:GgufEngine",
        "openai": "emotune.annotation.engines.chat:ChatEngine",
        "openai-audio": "emotune.annotation.engines.chat:AudioChatEngine",
    },
)


def engine_named(name: str, options: EngineOptions) -> AnnotationEngine:
    """Opens ``engine`` or ``engine:model``, such as ``lexicon``, ``gguf:model.gguf``, ``openai:gpt-5-mini``.

    Raises:
        ConfigError: for an unknown engine, a model that is missing, or an option that it needs.
        ModelError: for a model that cannot be loaded.
    """
    kind, _, model = name.partition(":")
    engine = ENGINES[kind]
    if engine.needs_model and not model:
        raise ConfigError(f"--llm {name}: name the model after a colon, such as {kind}:{engine.example}.")
    return engine(model, options)
