"""The image does not depend on the machine that writes it, and is what container runtimes expect."""

import gzip
import hashlib
import io
import json
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import contents, crates, notices, oci, sbom, system  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
EPOCH = 1_700_000_000
FILES = {"program": oci.File(b"binary", executable=True), "etc/ssl/ca.crt": oci.File(b"roots")}


def archive(files: dict[str, oci.File], epoch: int = EPOCH) -> bytes:
    layout = oci.Layout(epoch)
    images = [layout.image(files, arch, contents.CONFIG, {}) for arch in ("amd64", "arm64")]
    return layout.archive(layout.index(images, {}), "docker.io/library/program", "v1")


def members(data: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {entry.name: (entry, tar.extractfile(entry).read() if entry.isfile() else b"") for entry in tar}


class Archive(unittest.TestCase):
    def setUp(self) -> None:
        self.members = members(archive(FILES))

    def blob(self, descriptor: dict) -> bytes:
        content = self.members["blobs/" + descriptor["digest"].replace(":", "/")][1]
        self.assertEqual(descriptor["digest"], "sha256:" + hashlib.sha256(content).hexdigest())
        self.assertEqual(descriptor["size"], len(content))
        return content

    def images(self) -> list[tuple[dict, dict]]:
        top = json.loads(self.members["index.json"][1])["manifests"][0]
        self.assertEqual(top["annotations"]["io.containerd.image.name"], "docker.io/library/program:v1")
        index = json.loads(self.blob(top))
        manifests = [json.loads(self.blob(entry)) for entry in index["manifests"]]
        return [(manifest, json.loads(self.blob(manifest["config"]))) for manifest in manifests]

    def test_the_same_files_in_another_order_give_the_same_bytes(self) -> None:
        self.assertEqual(archive(FILES), archive(dict(reversed(FILES.items()))))

    def test_other_content_and_another_time_give_other_bytes(self) -> None:
        self.assertNotEqual(archive(FILES), archive(FILES | {"program": oci.File(b"other", executable=True)}))
        self.assertNotEqual(archive(FILES), archive(FILES, EPOCH + 1))

    def test_each_architecture_has_its_manifest_and_config(self) -> None:
        self.assertEqual([config["architecture"] for _, config in self.images()], ["amd64", "arm64"])

    def test_containers_run_as_a_user_that_is_not_root(self) -> None:
        for _, config in self.images():
            user = config["config"]["User"].split(":")[0]
            self.assertTrue(user.isdigit() and int(user) > 0, user)

    def test_layer_is_sorted_owned_by_root_and_of_one_time(self) -> None:
        for manifest, config in self.images():
            tar = gzip.decompress(self.blob(manifest["layers"][0]))
            self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(tar).hexdigest()])
            entries = members(tar)
            self.assertEqual(list(entries), ["etc", "etc/ssl", "etc/ssl/ca.crt", "program"])
            for entry, _ in entries.values():
                self.assertEqual((entry.uid, entry.gid, entry.mtime), (0, 0, EPOCH))
            self.assertEqual([entries[name][0].mode for name in ("program", "etc/ssl/ca.crt")], [0o755, 0o644])


class Crates(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.crates = crates.crates(REPOSITORY, system.TRIPLES["amd64"])

    def test_crates_are_those_of_the_program_and_not_of_its_tests(self) -> None:
        names = {crate.name for crate in self.crates}
        self.assertLessEqual({"coder-logstream-kube", "tokio", "rustls", "ring"}, names)
        self.assertFalse(names & {"proptest", "logstream-testing", "openssl-sys"}, names)

    def test_macros_are_not_linked(self) -> None:
        linked = {crate.name: crate.linked for crate in self.crates}
        self.assertTrue(linked["serde"])
        self.assertFalse(linked["serde_derive"])

    def test_every_crate_has_a_licence_text(self) -> None:
        texts = {"Apache-2.0": "text of Apache", "MIT": "text of MIT"}
        text = notices.third_party(self.crates, texts)
        for crate in self.crates:
            if crate.checksum:
                self.assertIn(f"{crate.name} {crate.version}: {crate.licence} (texts ", text)
        self.assertGreater(len(text), 100_000)

    def test_a_crate_without_licence_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as empty:
            for licence in ("", "LicenseRef-Own"):
                crate = crates.Crate("own", "1.0.0", licence, (), Path(empty), "00", True)
                with self.assertRaises(notices.NoLicence):
                    notices.third_party([crate], {"MIT": "text"})

    def test_sbom_names_each_crate_once_and_has_no_loose_reference(self) -> None:
        part = system.Component("glibc", "2.36", "LGPL-2.1-or-later", "pkg:deb/debian/libc6-dev@2.36", ())
        text = sbom.document(self.crates, [part], "1.2.3", "amd64", EPOCH)
        self.assertEqual(text, sbom.document(self.crates, [part], "1.2.3", "amd64", EPOCH))
        document = json.loads(text)
        references = [entry["bom-ref"] for entry in document["components"]] + [document["metadata"]["component"]["bom-ref"]]
        self.assertEqual(len(references), len(set(references)))
        self.assertEqual(len(references), len(self.crates) + 1)
        self.assertEqual({entry["ref"] for entry in document["dependencies"]}, set(references))
        used = {used for entry in document["dependencies"] for used in entry.get("dependsOn", [])}
        self.assertLessEqual(used, set(references))
        hashed = [entry for entry in document["components"] if entry["purl"].startswith("pkg:cargo/") and "hashes" in entry]
        self.assertGreater(len(hashed), 150)


class System(unittest.TestCase):
    def test_certificates_are_those_of_the_package(self) -> None:
        if not system.CA_DIRECTORY.is_dir():
            self.skipTest("the package ca-certificates is not installed")
        self.assertGreater(system.ca_bundle().count(b"BEGIN CERTIFICATE"), 50)


if __name__ == "__main__":
    unittest.main()
