"""What is in the image beside the program, and how a container of it is started."""

from pathlib import Path

from . import notices, sbom, system
from .crates import Crate
from .oci import File

PROGRAM = "/coder-logstream-kube"

# A number, as Kubernetes cannot tell of a name whether it is root.
USER = "65532:65532"

CONFIG = {
    "User": USER,
    "Entrypoint": [PROGRAM],
    # Webhook and health; metrics are off by default.
    "ExposedPorts": {"10250/tcp": {}, "8081/tcp": {}},
    "Env": ["PATH=/"],
    "WorkingDir": "/",
}


def files(repository: Path, binary: bytes, arch: str, crates: list[Crate], version: str, epoch: int) -> dict[str, File]:
    """All files of an architecture's image, by path without the leading slash."""
    components = system.components(arch)
    apache = (repository / "LICENSE").read_text()
    contents = {
        PROGRAM.lstrip("/"): File(binary, executable=True),
        "etc/ssl/certs/ca-certificates.crt": File(system.ca_bundle()),
        # Without it glibc asks DNS alone, and `localhost` of /etc/hosts is not found.
        "etc/nsswitch.conf": File(b"hosts: files dns\n"),
        "etc/passwd": File(b"nonroot:x:65532:65532::/:/sbin/nologin\n"),
        "etc/group": File(b"nonroot:x:65532:\n"),
        "licenses/LICENSE": File(apache.encode()),
        "licenses/THIRD-PARTY.txt": File(
            notices.third_party(crates, {"Apache-2.0": apache, "MIT": (Path(__file__).parent / "MIT.txt").read_text()}).encode()
        ),
        "sbom.cdx.json": File(sbom.document(crates, components, version, arch, epoch)),
    }
    for component in components:
        for notice in component.notices:
            contents[f"licenses/{component.name}/{notice.name}"] = File(notice.read_bytes())
    return contents


def labels(version: str, revision: str, source: str) -> dict[str, str]:
    """The labels of the image, also used as annotations of its manifests."""
    known = {
        "title": "coder-logstream-kube",
        "description": "Streams what Kubernetes does with a Coder workspace into its startup log",
        "licenses": "Apache-2.0",
        "version": version,
        "revision": revision,
        "source": source,
    }
    return {f"org.opencontainers.image.{key}": value for key, value in known.items() if value}
