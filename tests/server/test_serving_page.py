"""What docs/reference/serving.md says of limits, routes and problems is true."""

import re
from pathlib import Path

from emotune.server.problems import TITLES
from emotune.server.settings import Limits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "serving.md").read_text(encoding="utf-8")


def test_the_page_lists_every_limit_with_its_default():
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+)", PAGE, re.MULTILINE))
    fields = {name: field.default for name, field in Limits.model_fields.items() if field.default_factory is None}
    assert {name: float(value) for name, value in shown.items() if name in fields} == fields
    assert shown.keys() == Limits.model_fields.keys()


def test_the_page_lists_every_route_and_every_status(server):
    paths = server.client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if path.partition("/{")[0] not in PAGE] == []
    rows = re.findall(r"^\| ([45]\d\d[^|]*) \|", PAGE, re.MULTILINE)
    named = {int(status) for row in rows for status in row.split(", ")}
    assert named >= {status for status, _ in TITLES.values()} - {500}


def test_the_container_and_the_unit_name_options_that_there_are(emotune_command):
    told = emotune_command("serve", "--help").out
    files = sorted((ROOT / "packaging").iterdir())
    assert len(files) == 2
    for file in files:
        text = file.read_text(encoding="utf-8")
        (command,) = re.findall(r"^(?:ENTRYPOINT|ExecStart=).*$", text, re.MULTILINE)
        options = re.findall(r"--[a-z-]+", command)
        assert options and all(option in told for option in options), file
