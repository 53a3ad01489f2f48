"""The recipe's section of conditions: a key for each entry of ``CONDITIONS``, those of other packages too."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, create_model

from emotune.conditions import CONDITIONS
from emotune.errors import ConfigError
from emotune.section import Section


def _key(name: str) -> Any:
    """Type and default of a condition's key; one whose package cannot be loaded is a fault where it is asked for."""
    try:
        condition = CONDITIONS[name]
    except ConfigError as error:
        reason = str(error)

        def refuse(value: object) -> None:
            if value is not None:
                raise ValueError(reason)

        return Annotated[None, BeforeValidator(refuse)], None
    return condition.options | None, Field(default=None, description=condition.words)


class ConditionsSection(create_model("ConditionKeys", __base__=Section, **{name: _key(name) for name in CONDITIONS})):
    """Side information that the model gets beside the sound.

    ``source`` is ``given`` (by the corpus, else predicted), ``predicted``, or ``unknown`` (a control); ``dropout`` is
    how often training takes a value for unknown.
    """
