"""The crates that the program is made of, as cargo resolves them for one target."""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = "coder-logstream-kube"


@dataclass(frozen=True)
class Crate:
    """One crate of the program, or a macro that wrote some of its code."""

    name: str
    version: str
    licence: str
    """The SPDX expression of its manifest."""
    authors: tuple[str, ...]
    directory: Path
    """Its unpacked package."""
    checksum: str | None
    """SHA-256 of its package, from Cargo.lock; None for the crates of this repository."""
    linked: bool
    """False for procedural macros and what only they use."""
    dependencies: tuple[tuple[str, str], ...] = field(default=(), hash=False)
    """Name and version of the crates that it uses itself."""

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.version


def crates(repository: Path, triple: str) -> list[Crate]:
    """All crates of the program for this target, by name and version."""
    everything = _tree(repository, triple, "normal")
    linked = _tree(repository, triple, "normal,no-proc-macro")
    checksums = _checksums(repository)
    metadata = json.loads(_cargo(repository, "metadata", "--format-version=1", "--filter-platform", triple))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found = []
    for identity, package in packages.items():
        key = package["name"], package["version"]
        if key not in everything:
            continue
        used = (
            (packages[edge["pkg"]]["name"], packages[edge["pkg"]]["version"])
            for edge in nodes[identity]["deps"]
            if any(kind["kind"] is None for kind in edge["dep_kinds"])
        )
        found.append(
            Crate(
                *key,
                licence=package["license"] or "",
                authors=tuple(package["authors"]),
                directory=Path(package["manifest_path"]).parent,
                checksum=checksums.get(key),
                linked=key in linked,
                dependencies=tuple(sorted(other for other in used if other in everything)),
            )
        )
    missing = everything - {crate.key for crate in found}
    if missing:
        raise LookupError(f"cargo metadata lacks crates that cargo tree has: {sorted(missing)}")
    return sorted(found, key=lambda crate: crate.key)


def program_version(repository: Path) -> str:
    """The version in Cargo.toml."""
    manifest = tomllib.loads((repository / "Cargo.toml").read_text())
    return manifest["workspace"]["package"]["version"]


def _tree(repository: Path, triple: str, edges: str) -> set[tuple[str, str]]:
    """Name and version of the crates in the program's own tree: metadata has those of the tests and benchmarks too."""
    output = _cargo(
        repository, "tree", "--package", PROGRAM, "--target", triple, "--edges", edges, "--prefix=none", "--format={p}"
    )
    matches = (re.match(r"(\S+) v(\S+)", line) for line in output.splitlines())
    return {(match[1], match[2]) for match in matches if match}


def _checksums(repository: Path) -> dict[tuple[str, str], str]:
    lock = tomllib.loads((repository / "Cargo.lock").read_text())
    return {
        (package["name"], package["version"]): package["checksum"]
        for package in lock["package"]
        if "checksum" in package
    }


def _cargo(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["cargo", *arguments, "--locked"], cwd=repository, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
