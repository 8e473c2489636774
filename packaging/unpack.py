#!/usr/bin/env python3
"""Unpacks the image of one architecture from an archive of image.py, and prints its user.

    packaging/unpack.py ARCHIVE ARCH DIRECTORY
"""

import gzip
import io
import json
import sys
import tarfile


def main(archive: str, arch: str, directory: str) -> str:
    with tarfile.open(archive) as tar:

        def blob(descriptor: dict) -> bytes:
            return tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/")).read()

        index = json.loads(blob(json.load(tar.extractfile("index.json"))["manifests"][0]))
        image = next(entry for entry in index["manifests"] if entry["platform"]["architecture"] == arch)
        manifest = json.loads(blob(image))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layer)))) as files:
                files.extractall(directory, filter="tar")
        return json.loads(blob(manifest["config"]))["config"]["User"]


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
