"""The software bill of materials, as CycloneDX 1.6 JSON."""

import json
import re
import uuid
from datetime import datetime, timezone

from .crates import PROGRAM, Crate
from .system import Component


def document(crates: list[Crate], components: list[Component], version: str, arch: str, epoch: int) -> bytes:
    """The document for one architecture; the same input gives the same bytes."""
    program = next(crate for crate in crates if crate.name == PROGRAM)
    others = [crate for crate in crates if crate is not program]
    by_key = {crate.key: crate for crate in crates}
    dependencies = [
        {"ref": _purl(crate), "dependsOn": [_purl(by_key[key]) for key in crate.dependencies]} for crate in crates
    ]
    parts = [component.purl for component in components]
    next(entry for entry in dependencies if entry["ref"] == _purl(program))["dependsOn"].extend(parts)
    dependencies += [{"ref": part} for part in parts]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": _purl(program),
                "name": PROGRAM,
                "version": version,
                "purl": _purl(program),
                "licenses": [{"expression": program.licence}],
                "properties": [{"name": "architecture", "value": arch}],
            },
        },
        "components": [_crate(crate) for crate in others] + [_component(component) for component in components],
        "dependencies": dependencies,
    }
    # The number of this document and no other: it follows from the content.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    content["serialNumber"] = f"urn:uuid:{number}"
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _purl(crate: Crate) -> str:
    return f"pkg:cargo/{crate.name}@{crate.version}"


def _crate(crate: Crate) -> dict:
    entry = {
        "type": "library",
        "bom-ref": _purl(crate),
        "name": crate.name,
        "version": crate.version,
        "purl": _purl(crate),
        # "/" between licences is an older way to write OR.
        "licenses": [{"expression": re.sub(r"\s*/\s*", " OR ", crate.licence)}],
        "scope": "required" if crate.linked else "excluded",
    }
    if crate.checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": crate.checksum}]
    return entry


def _component(component: Component) -> dict:
    return {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
        "licenses": [{"expression": component.licence}],
        "scope": "required",
    }
