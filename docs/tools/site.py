#!/usr/bin/env python3
"""Checks the links of the documentation and builds it as a site with mdBook.

    docs/tools/site.py check    links between all Markdown files, and to docs/ from the code; needs nothing but Python
    docs/tools/site.py build    the same, then target/site; installs mdBook once, into the cache of the test tools

Pages outside of docs/ that SUMMARY.md lists, such as CONTRIBUTING.md, become pages of the site. Links to other files of
the repository, which a site does not have, become plain text there.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
STAGE = REPOSITORY / "target/site-source"
SITE = REPOSITORY / "target/site"
MDBOOK = "0.5.4"

LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]`]|`[^`]*`)*)\]\((?P<target>[^()\s]+)\)")
FENCE = re.compile(r"^ *(```|~~~)")
METRIC = re.compile(r"coder_logstream_[a-z_]+")
# A mention in code, such as an error message that names a section.
MENTION = re.compile(r"docs/[\w/-]+\.md(?:#[\w-]+)?")


def main() -> int:
    if sys.argv[1:] not in (["check"], ["build"]):
        print(__doc__, file=sys.stderr)
        return 2
    problems = markdown_problems() + code_problems() + summary_problems()
    if not problems and sys.argv[1] == "build":
        stage()
        subprocess.run([mdbook(), "build", str(STAGE), "--dest-dir", str(SITE)], check=True)
        problems = site_problems()
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(tracked('*.md'))} Markdown files: all internal links lead somewhere")
    return 1 if problems else 0


def tracked(pattern: str) -> list[str]:
    """Files of the repository, also those not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    output = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted(name for name in set(output.splitlines()) if (REPOSITORY / name).is_file())


def prose(text: str) -> list[str]:
    """The lines outside of code blocks."""
    lines, fenced = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return lines


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub and mdBook name them."""
    found: set[str] = set()
    for line in prose(text):
        if heading := re.match(r"#{1,6} (.+)", line):
            plain = LINK.sub(lambda link: link["text"], heading[1])
            name = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
            number, unique = 0, name
            while unique in found:
                number += 1
                unique = f"{name}-{number}"
            found.add(unique)
    return found


def problem(source: str, target: str) -> str | None:
    """Why a link of the file `source` leads nowhere."""
    path, _, anchor = target.partition("#")
    name = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
    file = REPOSITORY / name
    if name.startswith("..") or not file.exists():
        return f"{source}: {target}: no such file"
    if anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text())):
        return f"{source}: {target}: no such heading"
    return None


def markdown_problems() -> list[str]:
    """Broken links between Markdown files. Links to other hosts are not followed."""
    problems = []
    for name in tracked("*.md"):
        # The source of helm/README.md, with links as seen from there.
        if name == "helm/tools/readme.md":
            continue
        for line in prose((REPOSITORY / name).read_text()):
            for link in LINK.finditer(line):
                if not re.match(r"[a-z]+:", link["target"]):
                    problems.append(problem(name, link["target"]))
    return [one for one in problems if one]


def code_problems() -> list[str]:
    """Sections of the documentation that the program, the chart or the alerts name and that do not exist."""
    problems = []
    for pattern in ("src/*.rs", "helm/templates/*"):
        for name in tracked(pattern):
            for mention in MENTION.findall((REPOSITORY / name).read_text()):
                if one := problem("README.md", mention):
                    problems.append(f"{name}: {one}")
    return problems + monitoring_problems()


def monitoring_problems() -> list[str]:
    """Alerts without an entry in the documentation, and metrics in alerts and dashboard that it does not list."""
    operations = (DOCS / "operations.md").read_text()
    entries, listed = anchors(operations), set(METRIC.findall(operations))
    alerts = re.findall(r"- alert: (\S+)", (REPOSITORY / "helm/files/alerts.yaml").read_text())
    problems = [f"docs/operations.md: no entry for {alert}" for alert in alerts if alert.lower() not in entries]
    for name in ("helm/files/alerts.yaml", "helm/files/dashboard.json"):
        used = set(METRIC.findall((REPOSITORY / name).read_text()))
        problems += [f"{name}: {metric} is not in docs/operations.md" for metric in sorted(used - listed)]
    return problems if alerts else ["helm/files/alerts.yaml: no alerts"]


def summary() -> dict[str, str]:
    """The pages of SUMMARY.md by their file in the repository, with their file in the site."""
    pages = {}
    for link in LINK.finditer((DOCS / "SUMMARY.md").read_text()):
        file = posixpath.normpath(posixpath.join("docs", link["target"]))
        inside = file.removeprefix("docs/")
        pages[file] = inside if file != inside else "repository/" + file.replace("/README.md", ".md").lower()
    return pages


def summary_problems() -> list[str]:
    """Pages of docs/ that the site would leave out."""
    missing = set(tracked("docs/*.md")) - set(summary()) - {"docs/SUMMARY.md"}
    return [f"docs/SUMMARY.md: {name} is missing" for name in sorted(missing)]


def stage() -> None:
    """Copies the pages and what they show to one directory, with links that fit the site."""
    shutil.rmtree(STAGE, ignore_errors=True)
    pages = summary()
    for name in tracked("docs/*"):
        if not name.endswith(".md") and not name.startswith("docs/tools/"):
            copy(name, STAGE / name.removeprefix("docs/"))
    for name, page in {**pages, "docs/SUMMARY.md": "SUMMARY.md"}.items():
        target = STAGE / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(rewritten(name, page, pages))


def copy(name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(REPOSITORY / name, target)


def rewritten(name: str, page: str, pages: dict[str, str]) -> str:
    """The text of a page, with its links as the site needs them."""

    def link(match: re.Match) -> str:
        path, hash_, anchor = match["target"].partition("#")
        if not path or re.match(r"[a-z]+:", match["target"]):
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        inside = pages.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)
        if inside is None:
            return match["text"]
        relative = posixpath.relpath(inside, posixpath.dirname(page) or ".")
        return f"{match['image']}[{match['text']}]({relative}{hash_}{anchor})"

    lines, fenced = [], False
    for line in (REPOSITORY / name).read_text().splitlines():
        fenced ^= bool(FENCE.match(line))
        lines.append(line if fenced else LINK.sub(link, line))
    return "\n".join(lines) + "\n"


def mdbook() -> str:
    """mdBook in the pinned version: in PATH, or installed into the cache."""
    found = shutil.which("mdbook")
    if found and MDBOOK in subprocess.run([found, "--version"], stdout=subprocess.PIPE, text=True).stdout:
        return found
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("CODER_LOGSTREAM_TEST_CACHE") or Path(home) / "coder-logstream-kube")
    root = cache / f"mdbook-{MDBOOK}"
    if not (root / "bin/mdbook").is_file():
        print(f"installing mdBook {MDBOOK} into {root}, once", file=sys.stderr)
        # It runs for a second, so that optimizing it would take longer than it saves.
        options = ["--locked", "--debug", "--no-default-features", "--features", "search", "--quiet"]
        # Outside of the repository, whose toolchain and settings are not mdBook's.
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cargo", "install", "mdbook", "--version", MDBOOK, *options, "--root", root], cwd=cache, check=True)
    return str(root / "bin/mdbook")


class Page(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.ids.add(value)
            elif (tag, name) in (("a", "href"), ("img", "src")) and value and not re.match(r"[a-z]+:", value):
                self.targets.append(value)


def site_problems() -> list[str]:
    """Links of the built site that lead nowhere."""
    pages = {path: Page(path.read_text()) for path in SITE.rglob("*.html") if path.name not in ("print.html", "404.html", "toc.html")}
    problems = []
    for path, page in pages.items():
        for target in page.targets:
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.is_file():
                problems.append(f"{path.relative_to(SITE)}: {target}: no such file")
            elif anchor and file in pages and anchor not in pages[file].ids:
                problems.append(f"{path.relative_to(SITE)}: {target}: no such heading")
    links = sum(len(page.targets) for page in pages.values())
    return problems if links > 100 else [*problems, f"only {links} links in {len(pages)} pages"]


if __name__ == "__main__":
    sys.exit(main())
