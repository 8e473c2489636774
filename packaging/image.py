#!/usr/bin/env python3
"""Writes the image from the binaries of packaging/build, without a container engine.

    packaging/image.py archive ARCH...       dist/coder-logstream-kube-VERSION-image.tar, for all these architectures
    packaging/image.py rootfs ARCH DIRECTORY the files of one architecture's image, for the Dockerfile

Beside it goes the SBOM of each architecture. The digest printed at the end depends only on the commit, the compilers
and Debian's packages. SOURCE_DATE_EPOCH is the time of all files, by default that of the commit.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lib import contents, crates, oci, system

REPOSITORY = Path(__file__).resolve().parent.parent
DIST = REPOSITORY / "dist"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    archive = commands.add_parser("archive")
    archive.add_argument("arch", nargs="+", choices=system.TRIPLES)
    archive.add_argument("--name", default="docker.io/library/coder-logstream-kube", help="name of the image")
    archive.add_argument("--tag", help="its tag, by default vVERSION")
    archive.add_argument("--revision", default="", help="the commit, for the labels")
    archive.add_argument("--source", default="", help="URL of the repository, for the labels")
    rootfs = commands.add_parser("rootfs")
    rootfs.add_argument("arch", choices=system.TRIPLES)
    rootfs.add_argument("directory", type=Path)
    options = parser.parse_args()
    try:
        if options.command == "archive":
            write_archive(options)
        else:
            write_rootfs(options)
    except system.Missing as missing:
        print(f"image.py: {missing}", file=sys.stderr)
        return 1
    return 0


def write_archive(options: argparse.Namespace) -> None:
    """The archive of all architectures, and their SBOMs."""
    version = crates.program_version(REPOSITORY)
    labels = contents.labels(version, options.revision, options.source)
    layout = oci.Layout(epoch())
    images = []
    for arch in options.arch:
        files = image_files(arch, version)
        (DIST / f"coder-logstream-kube-{version}-{arch}.cdx.json").write_bytes(files["sbom.cdx.json"].content)
        images.append(layout.image(files, arch, contents.CONFIG | {"Labels": labels}, labels))
    index = layout.index(images, labels)
    path = DIST / f"coder-logstream-kube-{version}-image.tar"
    path.write_bytes(layout.archive(index, options.name, options.tag or f"v{version}"))
    for image in images:
        print(f"{image['digest']}  {image['platform']['architecture']}")
    print(f"{index['digest']}  {path.relative_to(REPOSITORY)}")


def write_rootfs(options: argparse.Namespace) -> None:
    """The files of one architecture's image in a directory."""
    for path, file in image_files(options.arch, crates.program_version(REPOSITORY)).items():
        target = options.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)


def image_files(arch: str, version: str) -> dict[str, oci.File]:
    """The files of one architecture's image."""
    binary = DIST / arch / "coder-logstream-kube"
    if not binary.is_file():
        raise system.Missing(f"no {binary}: run packaging/build {arch} first")
    used = crates.crates(REPOSITORY, system.TRIPLES[arch])
    return contents.files(REPOSITORY, binary.read_bytes(), arch, used, version, epoch())


def epoch() -> int:
    """SOURCE_DATE_EPOCH, or the time of the commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    command = ["git", "log", "--max-count=1", "--format=%ct"]
    return int(subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
