"""OCI images, written without a container engine. The same input gives the same bytes, and so the same digests."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class File:
    """A file of an image, owned by root."""

    content: bytes
    executable: bool = False


class Layout:
    """The blobs of an image layout."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._blobs: dict[str, bytes] = {}

    def image(self, files: dict[str, File], arch: str, config: dict, annotations: dict[str, str]) -> dict:
        """Adds the image of one architecture, with these files in one layer. Returns its descriptor."""
        tar = _tar(files, self._epoch)
        layer = self._add(LAYER, gzip.compress(tar, mtime=0))
        created = datetime.fromtimestamp(self._epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        description = {
            "created": created,
            "architecture": arch,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]},
            "history": [{"created": created, "created_by": "packaging/image.py"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._add(CONFIG, _json(description)),
            "layers": [layer],
            "annotations": annotations,
        }
        return self._add(MANIFEST, _json(manifest)) | {"platform": {"architecture": arch, "os": "linux"}}

    def index(self, images: list[dict], annotations: dict[str, str]) -> dict:
        """Adds the index over the images of all architectures. Returns its descriptor."""
        content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": annotations}
        return self._add(INDEX, _json(content))

    def archive(self, top: dict, name: str, tag: str) -> bytes:
        """The layout as a tar file that containerd, podman, skopeo and Docker load, as NAME:TAG."""
        names = {"io.containerd.image.name": f"{name}:{tag}", "org.opencontainers.image.ref.name": tag}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [top | {"annotations": names}]}
        files = {
            "oci-layout": File(_json({"imageLayoutVersion": "1.0.0"})),
            "index.json": File(_json(index)),
        }
        for digest, blob in self._blobs.items():
            files[f"blobs/{digest.replace(':', '/')}"] = File(blob)
        return _tar(files, self._epoch)

    def _add(self, media_type: str, blob: bytes) -> dict:
        digest = _digest(blob)
        self._blobs[digest] = blob
        return {"mediaType": media_type, "digest": digest, "size": len(blob)}


def _tar(files: dict[str, File], epoch: int) -> bytes:
    """Sorted, of root, and of one time: nothing of the machine that wrote it."""
    buffer = io.BytesIO()
    directories = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(directories | set(files)):
            entry = tarfile.TarInfo(path)
            entry.mtime = epoch
            if path in directories:
                entry.type = tarfile.DIRTYPE
                entry.mode = 0o755
                tar.addfile(entry)
            else:
                entry.mode = 0o755 if files[path].executable else 0o644
                entry.size = len(files[path].content)
                tar.addfile(entry, io.BytesIO(files[path].content))
    return buffer.getvalue()


def _json(content: dict) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()
