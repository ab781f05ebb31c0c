"""The texts that a Debian system with Python has, as sources of one domain and one licence each."""

import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import textwrap
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched, groupby
from pathlib import Path

Texts = Iterator[tuple[str, str]]

DOCUMENTS = Path("/usr/share/doc")
# Tests are no ordinary code, tables hold nothing to learn, and the build's settings name paths of one machine.
NOT_CODE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "encodings", "pydoc_data", "__pycache__"}
GENERATED = re.compile(r"(_sysconfigdata.*|stringprep|html/entities)\.py")
WIDTH = 80
# Thousands of pages much alike (of a cloud's command line, of Perl modules), and CMake's, which are its help again.
NOT_MANUAL = re.compile(r"(gcloud|cmake|ccmake|cpack|ctest).*|.*(pm|perl)\.gz")
# A single page longer than this (that of every option of a compiler, say) would be much of its domain.
LONGEST_PAGE = 60_000


@dataclass(frozen=True)
class Source:
    """Texts of one origin.

    Parameters
    ----------
    name
        What the source is called: lower case, joined by hyphens.
    domain
        One of ``DOMAINS``.
    licence
        The licence's SPDX identifier, or a description where it has none.
    redistributable
        Whether excerpts may be shipped with this package.
    origin
        Where the texts came from: a package's name, or a description of the system.
    version
        The version of that package or system; empty where it is not known.
    read
        Gives the texts as pairs of a relative name and a text, in the order they are to be taken in, always the same;
        none where the source is absent.
    limit
        The most bytes to take, or None for all.
    """

    name: str
    domain: str
    licence: str
    redistributable: bool
    origin: str
    version: str
    read: Callable[[], Texts]
    limit: int | None = None


def sources() -> list[Source]:
    """List every source that can be looked for, whether or not this system has it.

    Returns
    -------
    list of Source
        The sources, by domain.
    """
    python = python_documentation()
    return [
        Source(
            name="python-library",
            domain="code",
            licence="PSF-2.0",
            redistributable=True,
            origin="standard library of CPython",
            version=platform.python_version(),
            read=lambda: read_files(Path(sysconfig.get_path("stdlib")), "*.py", accept=is_plain_code),
        ),
        debian(python, "python-documentation", "documentation", "PSF-2.0", lambda: read_python_documentation(python)),
        debian("cmake-data", "cmake-help", "documentation", "BSD-3-Clause", read_cmake_help),
        debian("nodejs", "nodejs-documentation", "documentation", "MIT", read_nodejs, limit=4_000_000),
        Source(
            name="manual-pages",
            domain="manual",
            licence="several",
            redistributable=False,
            origin="manual pages of sections 1, 5, 7 and 8",
            version=system_release(),
            read=read_manual_pages,
            limit=5_000_000,
        ),
        debian("bible-kjv-text", "king-james-bible", "prose", "public domain", read_bible),
        debian("jargon-text", "jargon-file", "prose", "public domain", read_jargon),
        debian("miscfiles", "united-states-documents", "prose", "public domain", read_founding_documents),
        debian("base-files", "licences", "prose", "verbatim copies only", read_licences, redistributable=False),
    ]


def debian(
    package: str,
    name: str,
    domain: str,
    licence: str,
    read: Callable[[], Texts],
    *,
    redistributable: bool = True,
    limit: int | None = None,
) -> Source:
    """Describe a source that a Debian package has, with the version that is installed."""
    origin = f"Debian package {package}"
    return Source(name, domain, licence, redistributable, origin, package_version(package), read, limit)


def system_release() -> str:
    """Name the operating system and its release."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def package_version(package: str) -> str:
    """Return the version of an installed Debian package; empty where it is not known."""
    if shutil.which("dpkg-query") is None:
        return ""
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def read_files(folder: Path, pattern: str, accept: Callable[[str], bool] = lambda name: True) -> Texts:
    """Give the UTF-8 files below a folder whose names match, in the order of their names; others are passed over."""
    for path in sorted(folder.rglob(pattern)):
        name = path.relative_to(folder).as_posix()
        if not accept(name) or not path.is_file():
            continue
        try:
            yield name, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue


def is_plain_code(name: str) -> bool:
    """Say whether a file of the standard library is code that somebody wrote."""
    return NOT_CODE.isdisjoint(name.split("/")) and not GENERATED.fullmatch(name)


def python_documentation() -> str:
    """Name the package of the newest Python documentation there is, or a likely one where there is none."""
    found = [path.name for path in DOCUMENTS.glob("python3.*-doc") if (path / "html/_sources").is_dir()]
    return max(found, key=lambda name: int(re.sub(r"\D", "", name.removeprefix("python3"))), default="python3-doc")


def read_python_documentation(package: str) -> Texts:
    """Give the reStructuredText of the Python documentation."""
    for name, text in read_files(DOCUMENTS / package / "html/_sources", "*.rst.txt"):
        yield name.removesuffix(".txt"), text


def read_cmake_help() -> Texts:
    """Give the reStructuredText of CMake's reference."""
    for folder in sorted(Path("/usr/share").glob("cmake-[0-9]*/Help"))[-1:]:
        yield from read_files(folder, "*.rst")


def read_nodejs() -> Texts:
    """Give the Markdown of the Node.js documentation, without its changelogs, in the order of the names' hashes."""
    texts = read_files(DOCUMENTS / "nodejs", "*.md", accept=lambda name: "changelog" not in name.lower())
    return iter(sorted(texts, key=lambda pair: digest(pair[0])))


def read_manual_pages(folder: Path = Path("/usr/share/man")) -> Texts:
    """Give the manual pages as plain text, in the order of their names' hashes."""
    if shutil.which("man") is None:
        return
    named = {
        path: f"{path.name.removesuffix('.gz')}.txt"
        for section in (1, 5, 7, 8)
        for path in folder.glob(f"man{section}/*.gz")
        if not path.is_symlink() and not NOT_MANUAL.fullmatch(path.name)
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        # In batches, so that a reader who has enough does not wait for every page to be rendered.
        for pages in batched(sorted(named, key=lambda path: digest(named[path])), 32):
            for path, text in zip(pages, pool.map(render_page, pages), strict=True):
                if text and len(text) <= LONGEST_PAGE:
                    yield named[path], text


def render_page(path: Path) -> str:
    """Render a manual page to plain text, ragged right and without hyphens; empty for one that only names another."""
    if gzip.decompress(path.read_bytes()).startswith(b".so "):
        return ""
    command = ["man", "--no-hyphenation", "--no-justification", "--encoding=UTF-8", "--local-file", str(path)]
    surroundings = {**os.environ, "MANWIDTH": str(WIDTH), "LC_ALL": "C.UTF-8", "MANOPT": "", "MAN_KEEP_FORMATTING": ""}
    done = subprocess.run(command, capture_output=True, env=surroundings, check=False)
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else ""


def read_bible() -> Texts:
    """Give the King James Bible by chapter, some verses a paragraph, without their numbers."""
    if shutil.which("bible") is None:
        return
    command = ["bible", "-f", "gen1:1-rev22:21"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    verses = [match.groups() for line in lines if (match := re.match(r"(\w+?)(\d+):\d+ (.*)", line))]
    numbers: dict[str, int] = {}
    for (book, chapter), group in groupby(verses, key=lambda verse: verse[:2]):
        number = numbers.setdefault(book, len(numbers) + 1)
        paragraphs = [" ".join(verse[2] for verse in some) for some in batched(group, 4)]
        yield f"{number:02d}-{book.lower()}-{int(chapter):03d}.txt", "\n\n".join(map(fill, paragraphs))


def fill(paragraph: str) -> str:
    """Break a paragraph into lines."""
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)


def read_jargon() -> Texts:
    """Give the Jargon File without its tables, in parts of about 4 kB that end between paragraphs."""
    path = DOCUMENTS / "jargon-text/jargon.txt.gz"
    if not path.is_file():
        return
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    # The table of contents names every entry; its last line is the first that comes again.
    body = re.split(r"\n\s*Welcome to the Jargon File\n", text)[-1]
    paragraphs = [part for part in re.split(r"\n\s*\n", body) if not re.search(r"[\u2500-\u257f]", part)]
    for number, part in enumerate(parts(map(textwrap.dedent, paragraphs), 4000), start=1):
        yield f"part-{number:03d}.txt", part


def parts(paragraphs: Iterable[str], size: int) -> Iterator[str]:
    """Join paragraphs to texts of at least `size` characters; the last may be shorter."""
    held: list[str] = []
    for paragraph in paragraphs:
        held.append(paragraph)
        if sum(map(len, held)) >= size:
            yield "\n\n".join(held)
            held = []
    if held:
        yield "\n\n".join(held)


def read_founding_documents() -> Texts:
    """Give the declaration of independence and the constitution of the United States."""
    for path in sorted(Path("/usr/share/state").glob("us-*.gz")):
        yield f"{path.stem}.txt", gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")


def read_licences() -> Texts:
    """Give the texts of the common licences; names that only point to another are passed over."""
    for path in sorted(Path("/usr/share/common-licenses").glob("*")):
        if not path.is_symlink():
            yield f"{path.name}.txt", path.read_text(encoding="utf-8", errors="replace")


def digest(name: str) -> str:
    """Return a hash to order by that does not depend on what else there is."""
    return hashlib.sha256(name.encode()).hexdigest()
