"""`python -m helm.readme`: writes the table of values into the chart's README, from its schema and its defaults."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "lookaheadkv"
README = CHART / "README.md"
BEGIN, END = "<!-- values -->", "<!-- end of values -->"


def table() -> str:
    """A row for each value: its path, its default, and what it means."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = "\n".join(f"| `{path}` | `{default}` | {meaning} |" for path, default, meaning in _rows(schema, values, ""))
    return f"| value | default | meaning |\n| --- | --- | --- |\n{rows}"


def _rows(schema: dict[str, Any], values: Any, path: str) -> Iterator[tuple[str, str, str]]:
    for name, part in schema["properties"].items():
        if name not in values:
            continue
        where, value = f"{path}{name}", values[name]
        # what has a shape of its own is shown part by part
        if part.get("additionalProperties") is False and not name == "env" and isinstance(value, dict):
            yield where, "", part["description"]
            yield from _rows(part, value, f"{where}.")
        else:
            yield where, json.dumps(value), part["description"]


def main() -> None:
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
