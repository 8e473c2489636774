"""What the image has from the system it is built on: glibc, libgcc, Rust's standard library and the public CAs."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}
TRIPLES = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}

CA_DIRECTORY = Path("/usr/share/ca-certificates/mozilla")
COMMON_LICENCES = Path("/usr/share/common-licenses")


@dataclass(frozen=True)
class Component:
    """A part of the image that is not a crate."""

    name: str
    version: str
    licence: str
    """An SPDX expression."""
    purl: str
    notices: tuple[Path, ...]
    """Its copyright notice and the texts of its licences."""


class Missing(Exception):
    """Something that Debian's packages contain is not on this machine; the message names it."""


def components(arch: str) -> list[Component]:
    """The components of an architecture's image."""
    return [
        _library(arch, "libc.a", "glibc", "LGPL-2.1-or-later", "LGPL-2.1"),
        _library(arch, "libgcc.a", "libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3"),
        _rust(),
        _ca_certificates(),
    ]


def ca_bundle() -> bytes:
    """The certificates of Debian's package, without those that were added to this machine."""
    files = sorted(CA_DIRECTORY.glob("*.crt"))
    if len(files) < 50:
        raise Missing(f"{len(files)} certificates in {CA_DIRECTORY}: install the package ca-certificates")
    return b"".join(file.read_bytes().rstrip() + b"\n" for file in files)


def _library(arch: str, file: str, name: str, licence: str, text: str) -> Component:
    """The package of the static library that the linker takes."""
    compiler = COMPILERS[arch]
    path = _output(compiler, f"-print-file-name={file}").strip()
    if not os.path.isabs(path):
        raise Missing(f"{compiler} has no {file}")
    package = _output("dpkg-query", "--search", os.path.realpath(path)).split(": ")[0]
    return _debian(package, name, licence, text)


def _ca_certificates() -> Component:
    return _debian("ca-certificates", "ca-certificates", "MPL-2.0", "MPL-2.0")


def _debian(package: str, name: str, licence: str, text: str) -> Component:
    version = _output("dpkg-query", "--show", "--showformat=${Version}", package)
    plain = package.split(":")[0]
    notices = (Path("/usr/share/doc") / plain / "copyright", COMMON_LICENCES / text)
    _check(notices)
    return Component(name, version, licence, f"pkg:deb/debian/{plain}@{version}", notices)


def _rust() -> Component:
    compiler = os.environ.get("RUSTC", "rustc")
    version = re.match(r"rustc (\S+)", _output(compiler, "--version"))[1]
    documents = Path(_output(compiler, "--print", "sysroot").strip()) / "share/doc"
    # rustup's toolchains, then Debian's.
    for pattern in ("rust/COPYRIGHT-library.html", "libstd-rust*-dev/copyright"):
        if notices := tuple(sorted(documents.glob(pattern))):
            purl = f"pkg:generic/rust-std@{version}"
            return Component("rust-std", version, "MIT OR Apache-2.0", purl, notices)
    raise Missing(f"no copyright notice of Rust's standard library in {documents}")


def _check(notices: tuple[Path, ...]) -> None:
    for notice in notices:
        if not notice.is_file():
            raise Missing(f"no {notice}: the licence notices come from Debian's packages")


def _output(*command: str) -> str:
    try:
        # In the repository, whose rust-toolchain.toml decides what rustc is.
        here = Path(__file__).parent
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=here).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise Missing(f"{command[0]}: {error}") from error
