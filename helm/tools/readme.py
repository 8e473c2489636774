#!/usr/bin/env python3
"""Writes README.md from values.yaml, so that what is set and what is said about it stand in one place.

    readme.py            writes it
    readme.py --check    fails where README.md is not what it would write

Either way it fails where a value has no comment, or where values.yaml and values.schema.json name different values.
It reads values.yaml line by line and not as YAML, for the comments and to need nothing but Python: keys are indented
by two spaces, each has its comment of one line above it, and lists are written on one line.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

CHART = Path(__file__).resolve().parent.parent
KEY = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z][A-Za-z0-9]*):(?: (?P<default>.+))?$")
COMMENT = re.compile(r"^ *# (?P<text>.+)$")


@dataclass
class Value:
    """One key of values.yaml; without a default it is a group of others."""

    path: str
    text: str
    default: str | None


def read(lines):
    """The keys in their order, with the comments above them."""
    values, parents, text = [], [], None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            text = None
        elif comment := COMMENT.match(line):
            if text is not None:
                raise ValueError(f"values.yaml:{number}: a comment is one line")
            text = comment["text"]
        elif key := KEY.match(line):
            depth, odd = divmod(len(key["indent"]), 2)
            if odd or depth > len(parents):
                raise ValueError(f"values.yaml:{number}: keys are indented by two spaces")
            parents = [*parents[:depth], key["name"]]
            path = ".".join(parents)
            if text is None:
                raise ValueError(f"values.yaml:{number}: {path} has no comment")
            values.append(Value(path, text, key["default"]))
            text = None
        else:
            raise ValueError(f"values.yaml:{number}: neither a comment nor a key: {line}")
    return values


def known(schema, definitions):
    """The paths that the schema names, down to where it takes any key."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for name, inner in schema.get("properties", {}).items():
        yield name, inner
        for path, deeper in known(inner, definitions):
            yield f"{name}.{path}", deeper


def differences(values, schema):
    """Where values.yaml and the schema do not name the same values."""
    paths = dict(known(schema, schema["definitions"]))
    named = {value.path for value in values}
    free = {path for path, inner in paths.items() if "properties" not in inner and "$ref" not in inner}
    # What a probe, an issuer or a selector may hold besides is Kubernetes' own and documented there.
    borrowed = ("global", "enabled", "env.", "envFrom.", "certs.issuerRef.", "probes.", "webhook.namespaceSelector.", "webhook.objectSelector.",
                "webhook.matchConditions.", "resources.")
    for path in sorted(named - paths.keys()):
        parents = {path.rsplit(".", depth)[0] for depth in range(1, path.count(".") + 1)}
        if not parents & free:
            yield f"{path} is in values.yaml and not in values.schema.json"
    for path in sorted(paths.keys() - named):
        if not path.startswith(borrowed):
            yield f"{path} is in values.schema.json and not in values.yaml"


def table(values):
    """The rows of the table; a group is a row without a default."""
    yield "| value | default | meaning |"
    yield "|---|---|---|"
    for value in values:
        text = value.text.replace("|", "\\|")
        default = f"`{value.default}`".replace("|", "\\|") if value.default else ""
        yield f"| `{value.path}` | {default} | {text} |"


def document(values):
    """README.md as a text."""
    frame = (CHART / "tools" / "readme.md").read_text()
    return frame.replace("<!-- values -->", "\n".join(table(values)))


def main(arguments):
    """Writes or checks, and says what is wrong."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        values = read((CHART / "values.yaml").read_text().splitlines()[2:])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = list(differences(values, json.loads((CHART / "values.schema.json").read_text())))
    readme, text = CHART / "README.md", document(values)
    if arguments:
        if not readme.exists() or readme.read_text() != text:
            wrong.append("README.md is not what values.yaml and tools/readme.md make; tools/readme.py writes it")
    else:
        readme.write_text(text)
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
