"""Pages from templates, which hold HTML and fixed sentences; all that is put in is escaped, save drawn figures."""

from __future__ import annotations

from functools import cache

from emotune.errors import EmotuneError
from emotune.evaluation.comparing.verdicts import p_text
from emotune.report.metric_names import metric_name
from emotune.report.numbers import interval, number, percent, signed

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
except ImportError as error:
    raise EmotuneError(
        "The report's pages need jinja2: pip install 'emotune[report]'. Scores without a page do not."
    ) from error


__all__ = ["Markup", "render"]


def render(template: str, **values: object) -> str:
    """Fills a template of this room, such as ``comparison.html.j2``; a name that it lacks is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("emotune.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(  # pyright: ignore[reportUnknownMemberType]
        number=number, signed=signed, percent=percent, interval=interval, metric_name=metric_name, p_text=p_text
    )
    return environment
