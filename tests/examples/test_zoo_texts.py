"""The texts the zoo is trained on: gathering them, dropping repetitions, and keeping some out of training."""

import ast
import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from collect_texts import collect, normalise, safe_name
from corpus import read_corpus, split_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from text_sources import Source, is_plain_code, parts, read_manual_pages, sources

from bayeslaw.errors import InputError

pytestmark = pytest.mark.tools

ZOO = Path(__file__).parents[2] / "examples/zoo"
SPLITS = ("held_out", "validation", "train")
LONG = "a paragraph that is long enough to be looked for elsewhere, number "


def source(texts, name="letters", domain="prose", **settings):
    described = {"licence": "MIT", "redistributable": True, "origin": "a test", "version": "1"} | settings
    return Source(name=name, domain=domain, read=lambda: iter(texts.items()), **described)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def write(folder, texts):
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def name_in(split, prefix="prose/file"):
    return next(name for number in range(1000) if split_of(name := f"{prefix}-{number}.txt") == split)


def test_normalising_keeps_tabs_and_drops_what_is_no_text():
    assert normalise("\ufeff\r\na\tb \r\n\r\n\n \n\x0c\x1bc\x85\rd\t\n") == "a\tb\n\nc\nd\n"


@given(st.text(alphabet=st.one_of(st.sampled_from(" \t\n\r\x0c\x00ab"), st.characters(codec="utf-8")), max_size=80))
def test_normalised_texts_have_plain_lines_and_stay_as_they_are(text):
    once = normalise(text)
    assert normalise(once) == once
    assert once.endswith("\n")
    assert "\n\n\n" not in once
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]|[ \t]\n", once)


@example("../.bashrc")
@example("/etc/../..")
@given(st.text(max_size=30))
def test_no_name_leaves_its_folder(name):
    safe = safe_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", safe)
    assert not any(part.startswith(".") for part in safe.split("/"))


def test_a_collection_holds_the_texts_and_says_where_they_came_from(tmp_path):
    letters = source({"a/one.txt": "x" * 300, "a/One.txt": "é" * 300, "stub.txt": "short"})
    absent = source({}, name="absent")
    code = source({"x y.py": "z = 1\n" * 100}, name="snippets", domain="code", redistributable=False)
    entries = collect([letters, absent, code], tmp_path / "texts")
    held = content(tmp_path / "texts")
    assert json.loads(held.pop("sources.json")) == entries
    assert held == {
        "prose/letters/a/one.txt": b"x" * 300 + b"\n",
        "prose/letters/a/One.txt_": "é".encode() * 300 + b"\n",
        "code/snippets/x_y.py": b"z = 1\n" * 100,
    }
    assert [(entry["name"], entry["files"], entry["bytes"]) for entry in entries] == [
        ("letters", 2, 902),
        ("snippets", 1, 600),
    ]
    assert [entry["redistributable"] for entry in entries] == [True, False]


def test_a_limit_is_kept_and_what_does_not_fit_is_passed_over(tmp_path):
    texts = {"a": "a" * 400, "b": "b" * 700, "c": "c" * 500}
    collect([source(texts, limit=1000)], tmp_path / "texts")
    assert {name for name in content(tmp_path / "texts") if name != "sources.json"} == {
        "prose/letters/a",
        "prose/letters/c",
    }


def test_a_full_source_is_not_read_further(tmp_path):
    def endless():
        number = 0
        while True:
            yield f"{number}", "a" * 299
            number += 1

    endlessly = Source("letters", "prose", "MIT", True, "a test", "1", endless, limit=1000)
    assert collect([endlessly], tmp_path / "texts")[0]["files"] == 3


def test_a_collection_is_replaced_and_nothing_else_is(tmp_path):
    out = tmp_path / "texts"
    collect([source({"old": "a" * 300})], out)
    collect([source({"new": "b" * 300})], out)
    assert set(content(out)) == {"sources.json", "prose/letters/new"}
    for foreign in ("notes.txt", "prose/mine.txt", "prose/letters/mine.txt"):
        write(out, {foreign: "my own"})
        before = content(out)
        with pytest.raises(InputError, match="cannot write"):
            collect([source({"newer": "c" * 300})], out)
        assert content(out) == before
        (out / foreign).unlink()


def test_a_system_without_any_source_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="none of the sources"):
        collect([source({})], tmp_path / "texts")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_breaks_off_leaves_the_earlier_collection(tmp_path):
    def breaks():
        yield "first", "a" * 300
        raise KeyboardInterrupt

    collect([source({"old": "a" * 300})], tmp_path / "texts")
    before = content(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        collect([Source("letters", "prose", "MIT", True, "a test", "1", breaks)], tmp_path / "texts")
    assert content(tmp_path) == before


def test_sources_have_names_of_their_own_and_name_no_place():
    found = sources()
    assert max(Counter(source.name for source in found).values()) == 1
    assert not any(re.search(r"(^|\s)/", f"{source.origin} {source.version}") for source in found)
    assert {source.name for source in found if not source.redistributable} == {"manual-pages", "licences"}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("asyncio/base_events.py", True),
        ("unittest/case.py", True),
        ("test/test_json.py", False),
        ("idlelib/idle_test/test_help.py", False),
        ("site-packages/pip/__init__.py", False),
        ("encodings/cp1252.py", False),
        ("html/parser.py", True),
        ("html/entities.py", False),
        ("_sysconfigdata__linux_x86_64-linux-gnu.py", False),
    ],
)
def test_code_is_what_somebody_wrote(name, plain):
    assert is_plain_code(name) is plain


def test_parts_end_between_paragraphs_and_lose_nothing():
    paragraphs = [f"{number}" * 30 for number in range(9)]
    made = list(parts(paragraphs, 60))
    assert "\n\n".join(made) == "\n\n".join(paragraphs)
    assert [len(part.split("\n\n")) for part in made] == [2, 2, 2, 2, 1]


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_manual_pages_are_ragged_unhyphenated_and_their_own(tmp_path):
    page = ".TH {0} 1\n.SH NAME\n{0} \\- does\n.SH DESCRIPTION\n" + "\\fBcharacteristically\\fP unbelievable\n" * 40
    pages = {name: page.format(name) for name in ("one", "gcloud_two", "cmake", "Three.3pm")} | {
        "alias": ".so man1/man.1"
    }
    for name, text in pages.items():
        write(tmp_path / "man1", {f"{name}.1.gz": gzip.compress(text.encode())})
    (tmp_path / "man1/link.1.gz").symlink_to("one.1.gz")
    found = dict(read_manual_pages(tmp_path))
    assert set(found) == {"one.1.txt", "Three.3pm.1.txt"}
    lines = found["one.1.txt"].splitlines()
    assert max(map(len, lines)) <= 80
    assert Counter(found["one.1.txt"].split())["characteristically"] == 40
    assert not any("  " in line.strip() for line in lines[2:-2])


def test_the_command_gathers_code_and_refuses_a_folder_in_use(tmp_path):
    command = [sys.executable, str(ZOO / "collect_texts.py"), str(tmp_path / "texts")]
    only = ["--no-documentation", "--no-manual", "--no-prose"]
    done = subprocess.run([*command, *only], capture_output=True, text=True, check=True)
    assert "python-library" in done.stdout
    entry = json.loads((tmp_path / "texts/sources.json").read_text())[0]
    files = [path for path in (tmp_path / "texts").rglob("*") if path.is_file() and path.name != "sources.json"]
    assert entry["files"] == len(files) > 100
    assert entry["bytes"] == sum(path.stat().st_size for path in files)
    assert ast.parse((tmp_path / "texts/code/python-library/json/decoder.py").read_text()).body
    write(tmp_path, {"texts/mine.txt": "my own"})
    refused = subprocess.run([*command, *only], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "cannot write" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_split_has_the_shares_named():
    counts = Counter(split_of(f"prose/{number}.txt") for number in range(20_000))
    assert counts["held_out"] / 20_000 == pytest.approx(0.10, abs=0.01)
    assert counts["validation"] / 20_000 == pytest.approx(0.04, abs=0.006)
    assert set(counts) == set(SPLITS)
    # By path, not by name: every domain may have an index of its own, and they are different files.
    assert {split_of(f"{folder}/index.rst") for folder in range(100)} == set(SPLITS)


def test_a_split_does_not_depend_on_the_folder_or_on_other_files(tmp_path):
    texts = {f"prose/{number}.txt": f"text {number}" for number in range(60)}
    all_files = read_corpus(write(tmp_path / "all", texts)).files
    some = read_corpus(write(tmp_path / "some", dict(list(texts.items())[::3]))).files
    split = {file.path: file.split for file in all_files}
    assert {file.path: file.split for file in some} == {file.path: split[file.path] for file in some}
    assert len(set(split.values())) == 3


def test_domains_are_subfolders_and_what_is_no_text_is_counted(tmp_path):
    texts = {
        "top.txt": "at the top",
        "code/deep/down.py": "x = 1",
        "code/bytes.bin": b"\xff\xfe",
        "code/nul.txt": b"a\0b",
        "sources.json": "[]",
        "code/sources.json": "{}",
        ".hidden/secret.txt": "hidden",
    }
    corpus = read_corpus(write(tmp_path, texts))
    assert {file.path: file.domain for file in corpus.files} == {
        "top.txt": "text",
        "code/deep/down.py": "code",
        "code/sources.json": "code",
    }
    assert corpus.skipped == ["code/bytes.bin", "code/nul.txt"]
    assert corpus.texts(split_of("top.txt"), "text") == ["at the top"]
    assert corpus.texts("validation", "absent") == []


def test_a_paragraph_held_out_is_dropped_from_training(tmp_path):
    held_out, train = name_in("held_out", "zzz/file"), name_in("train", "aaa/file")
    paragraphs = [f"{LONG}{number}" for number in range(3)]
    write(tmp_path, {train: f"own\n\n{paragraphs[0]}\n \n\n  {paragraphs[1]}  \n\n{paragraphs[2]}\n\nown\n"})
    write(tmp_path, {held_out: f"{paragraphs[1]}\n\nown\n\n{paragraphs[0]}"})
    files = {file.path: file for file in read_corpus(tmp_path).files}
    assert files[held_out].text == f"{paragraphs[1]}\n\nown\n\n{paragraphs[0]}"
    assert files[train].text == f"own\n\n{paragraphs[2]}\n\nown\n"
    assert files[train].dropped_paragraphs == 2
    assert files[train].dropped_bytes == len(f"{paragraphs[0]}\n \n\n  {paragraphs[1]}  \n\n")


def test_a_paragraph_repeated_within_its_file_stays(tmp_path):
    corpus = read_corpus(write(tmp_path, {"a.txt": f"{LONG}1\n\n{LONG}1\n"}))
    assert corpus.files[0].text == f"{LONG}1\n\n{LONG}1\n"


def test_a_file_with_nothing_of_its_own_is_counted_and_not_used(tmp_path):
    first, second = sorted(
        f"prose/{number}.txt" for number in range(400) if split_of(f"prose/{number}.txt") == "train"
    )[:2]
    corpus = read_corpus(write(tmp_path, {first: f"{LONG}1\n", second: f"{LONG}1\n"}))
    assert [file.path for file in corpus.files] == [first]
    assert [file.path for file in corpus.repeated] == [second]
    row = corpus.summary().loc[("prose", "train")]
    assert row.to_dict() == {
        "files": 1,
        "bytes": len(LONG) + 2,
        "dropped_paragraphs": 1,
        "dropped_bytes": len(LONG) + 2,
    }


PIECES = st.sampled_from([f"{LONG}{number}" for number in range(6)] + ["short", "ünter 40"])
NAMES = [name_in(split, f"{domain}/{number}") for split in SPLITS for domain in "ab" for number in range(2)]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(PIECES, min_size=1, max_size=6), min_size=1))
def test_no_long_paragraph_is_in_two_files_and_none_is_lost(files):
    texts = {name: "\n\n".join(paragraphs) + "\n" for name, paragraphs in files.items()}
    with tempfile.TemporaryDirectory() as folder:
        corpus = read_corpus(write(Path(folder), texts))
    kept = {file.path: {part.strip() for part in file.text.split("\n\n")} for file in corpus.files}
    order = {split: number for number, split in enumerate(SPLITS)}
    for paragraph in {paragraph for paragraphs in files.values() for paragraph in paragraphs}:
        having = [name for name in files if paragraph in files[name]]
        first = min(having, key=lambda name: (order[split_of(name)], name))
        expected = {first} if len(paragraph) >= 40 else set(having)
        assert {name for name in kept if paragraph in kept[name]} == expected
    summary = corpus.summary()
    assert summary["bytes"].sum() + summary["dropped_bytes"].sum() == sum(len(text.encode()) for text in texts.values())
    assert summary["files"].sum() == len(corpus.files) == len(files) - len(corpus.repeated)


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        read_corpus(tmp_path / "absent")
    with pytest.raises(InputError, match="has no text"):
        read_corpus(write(tmp_path, {"sources.json": "[]"}))
