"""The licence texts of all crates, as their packages contain them."""

import hashlib
import re
from pathlib import Path

from .crates import Crate

# Files of a package that are a licence or belong to one.
_NAMES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
# Sources with such a name.
_NOT_TEXTS = {".rs", ".toml", ".json", ".py", ".sh", ".yml", ".yaml"}


class NoLicence(Exception):
    """A crate's package and manifest do not say its licence."""


def third_party(crates: list[Crate], fallbacks: dict[str, str]) -> str:
    """One document: each crate with its licence, and each text once.

    `fallbacks` has the texts by SPDX identifier for crates whose package contains none.
    """
    texts: dict[str, str] = {}
    lines = [
        "Crates in coder-logstream-kube, with their licences. The texts follow, each once, under its number.",
        "",
    ]
    for crate in crates:
        if crate.checksum is None:
            continue
        if not crate.licence:
            raise NoLicence(f"{crate.name} {crate.version} names no licence")
        own = _texts(crate.directory) or _fallback(crate, fallbacks)
        numbers = []
        for text in own:
            digest = hashlib.sha256(_squeezed(text).encode()).hexdigest()
            texts.setdefault(digest, text)
            numbers.append(list(texts).index(digest) + 1)
        listed = ", ".join(map(str, sorted(set(numbers))))
        lines.append(f"{crate.name} {crate.version}: {crate.licence} (texts {listed})")
    for number, text in enumerate(texts.values(), 1):
        lines += ["", "=" * 80, f"Text {number}", "=" * 80, "", text.strip()]
    return "\n".join(lines) + "\n"


def _texts(directory: Path) -> list[str]:
    """The licence files of a package, in its root or in a directory of their own."""
    places = [directory, *(place for place in directory.iterdir() if place.is_dir() and _NAMES.match(place.name))]
    files = (
        file
        for place in places
        for file in place.iterdir()
        if file.is_file()
        and (_NAMES.search(file.name) or place != directory)
        and file.suffix.lower() not in _NOT_TEXTS
    )
    return [file.read_text(errors="replace") for file in sorted(files)]


def _fallback(crate: Crate, fallbacks: dict[str, str]) -> list[str]:
    identifiers = re.findall(r"[\w.+-]+", re.sub(r"\b(OR|AND|WITH)\b", " ", crate.licence))
    found = [fallbacks[identifier] for identifier in identifiers if identifier in fallbacks]
    if not found:
        raise NoLicence(f"no licence text for {crate.name} {crate.version} ({crate.licence})")
    authors = ", ".join(crate.authors) or "its authors"
    return [f"Copyright {authors} ({crate.name}; its package contains no licence file)\n\n{found[0]}"]


def _squeezed(text: str) -> str:
    """Texts that differ in white space alone are the same."""
    return " ".join(text.split())
