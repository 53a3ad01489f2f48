"""Ways in which a command runs, and the options that serve each; what does nothing is refused, not passed over."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from emotune.errors import ConfigError

HERE, PARTS, SEQUENCES, SERVER = "here", "parts", "sequences", "server"
_HERE, _PARTS, _LOCAL = (HERE,), (PARTS,), (HERE, PARTS)

SERVES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "predict": {
        **dict.fromkeys(("--window", "--hop", "--vad", "--adapt"), _HERE),
        **dict.fromkeys(("--part-rows", "--part-format", "--retry-errors", "--engine"), _PARTS),
        **dict.fromkeys(("--workers", "--precision", "--condition"), _LOCAL),
        **dict.fromkeys(("--gender-model", "--asr", "--text-encoder"), _LOCAL),
        **dict.fromkeys(("--batch-seconds", "--device"), (HERE, PARTS, SEQUENCES)),
        **dict.fromkeys(("--task", "--adapter"), (SEQUENCES,)),
        "--speakers": (HERE, SEQUENCES),
        "--coverage": (HERE, PARTS, SERVER),
        "--json": (HERE, PARTS, SERVER),
    },
    "timeline": dict.fromkeys(("--speakers", "--plot", "--page", "--device", "--workers"), _HERE),
    "evaluate": {
        **dict.fromkeys(("--manifest", "--map", "--drop", "--shared-classes", "--condition"), _HERE),
        **dict.fromkeys(("--robustness", "--adversarial", "--attack", "--attack-clips"), _HERE),
        **dict.fromkeys(("--words", "--text-encoder", "--coverage", "--precision", "--json"), _HERE),
        "--figures-from": _HERE,
    },
}
"""Command -> option -> the ways that it serves; an option that is not named serves all."""

_ONE_TABLE = "--window, --hop and --vad go into one table: leave out --part-rows."
_OF_PARTS = "--part-format and --retry-errors go with --part-rows."
_REFUSALS: Mapping[tuple[str, str], str] = {
    **{(PARTS, name): _ONE_TABLE for name in ("--window", "--hop", "--vad")},
    (PARTS, "--speakers"): "--speakers goes into one table: leave out --part-rows.",
    (PARTS, "--adapt"): (
        "--adapt needs all answers at once, and --part-rows keeps few: make a model with `emotune adapt`, and predict"
        " with that."
    ),
    **{(HERE, name): _OF_PARTS for name in ("--part-format", "--retry-errors")},
    (HERE, "--engine"): (
        "--engine ray writes a folder of parts: say how large they are with --part-rows, such as 2000."
    ),
}


def refuse_idle(context: typer.Context, way: str, model: str) -> None:
    """Refuses options that were given and do nothing in the way that a command runs.

    Raises:
        ConfigError: naming them, and the cure.
    """
    serves = SERVES[str(context.command.name)]
    idle = [name for name in _given(context) if way not in serves.get(name, (way,))]
    if not idle:
        return
    first = idle[0]
    if way == SERVER:
        raise ConfigError(f"{first} is for a model on this machine: leave it out, or leave out --server.")
    if way == SEQUENCES:
        raise ConfigError(f"{', '.join(idle)}: this is a sequence model, for which that does nothing; leave it out.")
    none = f"{first} goes with a sequence model, and {model} is none: leave it out."
    raise ConfigError(_REFUSALS.get((way, first), none))


def refuse_others(context: typer.Context, option: str) -> None:
    """Refuses all options beside one that does its work alone.

    Raises:
        ConfigError: naming them.
    """
    if others := [name for name in _given(context) if name != option]:
        raise ConfigError(f"{option} scores nothing, so {', '.join(others)} would do nothing: leave out either.")


def _given(context: typer.Context) -> list[str]:
    """Names of the options whose values are not their defaults."""
    return [
        parameter.opts[-1]
        for parameter in context.command.params
        if parameter.param_type_name == "option"
        and (context.params.get(str(parameter.name)) or None) != (parameter.get_default(context) or None)
    ]
