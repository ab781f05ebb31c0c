"""Texts files: what is read, how documents are named, and what is refused with its line."""

import hashlib
import json
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from inference.texts.documents import blank_note, read_texts, text_hash


def jsonl(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(folder, name, **columns):
    path = folder / name
    pq.write_table(pa.table(columns), path)
    return path


def refused(paths, *said):
    with pytest.raises(InputError) as caught:
        read_texts(paths)
    for words in said:
        assert words in str(caught.value), str(caught.value)


def test_a_txt_file_is_one_document_with_its_line_ends(tmp_path):
    corpus = read_texts([write(tmp_path, "Story.TXT", "\ufeffOne.\r\n\nTwo. \u2028\n")])
    assert corpus.names == ("Story",)
    assert corpus.texts == ("One.\r\n\nTwo. \u2028\n",)
    assert corpus.domains is None
    assert corpus.sources == ("Story.TXT",)


def test_jsonl_rows_are_named_by_id_or_number(tmp_path):
    rows = jsonl({"text": "a\u2028b", "id": "x"}, {"text": "b", "sample": 7}, {"text": "c", "id": None, "name": "n"})
    content = b"\xef\xbb\xbf" + rows + b"\r\n \n" + jsonl({"text": "d", "more": [1, {}]}).strip()
    corpus = read_texts(write(tmp_path, "t.jsonl", content))
    assert corpus.names == ("x", "7", "n", "3")
    assert corpus.texts == ("a\u2028b", "b", "c", "d")


def test_raw_line_separators_inside_a_record_do_not_part_it(tmp_path):
    corpus = read_texts([write(tmp_path, "t.jsonl", '{"text": "a\u2028b\u0085c"}\n')])
    assert corpus.texts == ("a\u2028b\u0085c",)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_columns(tmp_path, kind):
    text = pa.array(["one", "two", "one"]).cast(kind)
    path = parquet(
        tmp_path, "t.parquet", text=text, id=pa.array([3, 1, 2]), domain=["x", "y", "x"], other=[[1], [], []]
    )
    corpus = read_texts([path])
    assert corpus.texts == ("one", "two", "one")
    assert corpus.names == ("3", "1", "2")
    assert corpus.domains == ("x", "y", "x")


def test_domains_count_only_where_every_record_has_one(tmp_path):
    all_of_them = jsonl({"text": "a", "domain": "law"}, {"text": "b", "domain": 3})
    assert read_texts([write(tmp_path, "a.jsonl", all_of_them)]).domains == ("law", "3")
    some = jsonl({"text": "a", "domain": "law"}, {"text": "b", "domain": None})
    assert read_texts([write(tmp_path, "b.jsonl", some)]).domains is None


def test_clusters_are_of_every_text_or_of_none(tmp_path):
    all_of_them = jsonl({"text": "a", "cluster": "book"}, {"text": "b", "cluster": 3})
    corpus = read_texts([write(tmp_path, "a.jsonl", all_of_them)])
    assert corpus.clusters == ("book", "3")
    assert corpus.select([1]).clusters == ("3",)
    assert read_texts([write(tmp_path, "b.jsonl", jsonl({"text": "a"}))]).clusters is None
    some = write(tmp_path, "c.jsonl", jsonl({"text": "a", "cluster": "book"}, {"text": "b", "cluster": None}))
    with pytest.raises(InputError, match=r"1 of the 2 texts have a cluster, and '1' \(in line 2 of c.jsonl\) has none"):
        read_texts([some])
    with pytest.raises(InputError, match=r"2 of the 3 texts have a cluster, and 'd' \(d\.txt\) has none"):
        read_texts([tmp_path / "a.jsonl", write(tmp_path, "d.txt", "a story")])


def test_clusters_of_rows_are_text_or_whole_numbers(tmp_path):
    numbers = parquet(tmp_path, "t.parquet", text=["a", "b", "c"], cluster=pa.array([7, 12, 7]))
    shared = write(tmp_path, "t2.jsonl", jsonl({"text": "d", "id": "d", "cluster": "7"}))
    # Documents of one cluster may be in several files, whatever becomes of their names.
    assert read_texts([numbers, shared]).clusters == ("7", "12", "7", "7")
    halves = parquet(tmp_path, "h.parquet", text=["a", "b"], cluster=pa.array([0.5, 1]))
    with pytest.raises(InputError, match=r"the cluster in row 0 of h\.parquet \(counted from 0\) is 0\.5"):
        read_texts([halves])


def test_texts_of_white_space_only_are_left_out_and_counted(tmp_path):
    rows = jsonl({"text": "a"}, {"text": " \n\u3000"}, {"text": "c", "cluster": None}, {"text": "\t", "cluster": 5})
    files = [write(tmp_path, "t.jsonl", rows), write(tmp_path, "blank.txt", "\n"), write(tmp_path, "d.txt", "d")]
    corpus = read_texts([*files, parquet(tmp_path, "t.parquet", text=[" ", "e"], id=["x", "y"])])
    # Rows keep their numbers.
    assert corpus.names == ("0", "2", "d", "y")
    assert (corpus.texts, corpus.clusters, corpus.blank) == (("a", "c", "d", "e"), None, 4)
    assert blank_note(corpus) == "left out 4 texts of white space only"
    assert blank_note(read_texts(files[2:])) == ""


def test_names_that_clash_between_files_get_the_file_in_front(tmp_path):
    first = write(tmp_path, "news.jsonl", jsonl({"text": "a"}, {"text": "b"}))
    second = write(tmp_path, "web.jsonl", jsonl({"text": "c"}, {"text": "d", "id": "own"}))
    third = write(tmp_path, "essay.txt", "e")
    corpus = read_texts([first, third, second])
    assert corpus.names == ("news/0", "news/1", "essay", "web/0", "web/own")
    assert corpus.texts == ("a", "b", "e", "c", "d")
    assert read_texts([first, third]).names == ("0", "1", "essay")


def test_names_that_clash_even_so_are_refused(tmp_path):
    first, second = (write(tmp_path, f"{folder}/t.jsonl", jsonl({"text": folder})) for folder in "xy")
    refused([first, second], "'t/0'", "twice", "rename")
    refused([first, first], "given 2 times")
    refused([write(tmp_path, "d.jsonl", jsonl(*[{"text": "a", "id": 5}] * 2))], "'5'", "line 1 of d", "line 2 of d")


@few_or_many(25, 200)
def test_any_text_survives_both_tables(tmp_path_factory, examples):
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=1))
    def check(texts):
        folder = tmp_path_factory.mktemp("texts")
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        assert read_texts([write(folder, "t.jsonl", lines)]).texts == tuple(texts)
        assert read_texts([parquet(folder, "t.parquet", text=texts)]).texts == tuple(texts)

    check()


def test_a_text_of_five_megabytes(tmp_path):
    text = "Zwölf Boxkämpfer.\n" * 270_000
    corpus = read_texts([write(tmp_path, "long.txt", text), write(tmp_path, "long2.jsonl", jsonl({"text": text}))])
    assert len(text.encode()) > 5_000_000
    assert corpus.texts == (text, text)


def test_the_hash_of_a_text_is_that_of_its_bytes():
    assert text_hash("é\n") == hashlib.sha256(b"\xc3\xa9\n").hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text\n", "'.csv'"),
        ("a.json", "{}", "use '.jsonl'"),
        ("a", "text", "no ending"),
        ("a.txt", "", "empty"),
        ("a.txt", " \n\t\u3000", "white space only"),
        ("a.txt", b"\xef\xbb\xbf", "white space only"),
        ("a.txt", b"ab\ncd\xff", "byte 0xff at position 5 (line 2)"),
        ("a.txt", b"\xef\xbb\xbfab\xff", "position 5"),
        ("a.txt", "text".encode("utf-16"), "not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', "position 24 (line 2)"),
        ("a.jsonl", '{"text": "a"}\n\n{"text": "a"\n', "line 3 of a.jsonl is not JSON"),
        ("a.jsonl", '{"text": "a"}\n["a"]', 'line 2 of a.jsonl is no JSON object but ["a"]'),
        ("a.jsonl", "[" * 100_000, "line 1 of a.jsonl is not JSON"),
        ("a.jsonl", '{"txt": "a", "id": 1}', "line 1 of a.jsonl has no text; its fields are txt, id"),
        ("a.jsonl", '{"text": 5}', "the text in line 1 of a.jsonl is 5"),
        ("a.jsonl", '{"text": null}', "the text in line 1 of a.jsonl is null"),
        ("a.jsonl", '{"text": ""}', "the text in line 1 of a.jsonl is empty"),
        ("a.jsonl", '{"text": " \\n"}', "it holds white space only"),
        ("a.jsonl", '{"text": "a"}\n{"text": " ", "id": true}', "the name in line 2 of a.jsonl is true"),
        ("a.jsonl", '{"text": "ab\\ud800"}', "the text in line 1 of a.jsonl has a lone surrogate at character 2"),
        ("a.jsonl", '{"text": "a", "id": "\\udc00"}', "the name in line 1 of a.jsonl has a lone surrogate"),
        ("a.jsonl", '{"text": "a", "id": true}', "the name in line 1 of a.jsonl is true"),
        ("a.jsonl", '{"text": "a", "id": 1.5}', "the name in line 1 of a.jsonl is 1.5"),
        ("a.jsonl", '{"text": "a", "name": " "}', "the name in line 1 of a.jsonl is"),
        ("a.jsonl", '{"text": "a", "domain": []}', "the domain in line 1 of a.jsonl is []"),
        ("a.jsonl", '{"text": "a", "cluster": " "}', 'the cluster in line 1 of a.jsonl is " "'),
        ("a.jsonl", '{"text": "a", "cluster": true}', "the cluster in line 1 of a.jsonl is true"),
        ("a.jsonl", '{"text": "a", "cluster": "\\ud83d"}', "the cluster in line 1 of a.jsonl has a lone surrogate"),
        ("a.parquet", "no parquet", "no sound Parquet file"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, name, content, said):
    refused([write(tmp_path, name, content)], said, "accepted: ", "fix: ")


def test_bad_paths_are_refused(tmp_path):
    refused([], "no file of texts")
    refused([tmp_path / "none.txt"], "there is no such file")
    refused([tmp_path], "it is a folder")
    os.mkfifo(tmp_path / "pipe.txt")
    refused([tmp_path / "pipe.txt"], "not a regular file")


def test_bad_parquet_is_refused_with_the_row(tmp_path):
    refused([parquet(tmp_path, "a.parquet", txt=["a"])], "no column 'text'", "its columns are txt")
    refused([parquet(tmp_path, "b.parquet", text=pa.array([], pa.string()))], "it has no rows")
    refused([parquet(tmp_path, "c.parquet", text=["a", None])], "row 1 of c.parquet (counted from 0) is null")
    refused([parquet(tmp_path, "d.parquet", text=[1, 2])], "row 0 of d.parquet", "is 1")
    refused([parquet(tmp_path, "e.parquet", text=["a", "b"], id=["x", "x"])], "'x'", "row 0 of e", "row 1 of e")
    broken = pa.array([b"ok", b"\xff"]).view(pa.string())
    refused([parquet(tmp_path, "f.parquet", text=broken)], "no sound Parquet file")
    whole = parquet(tmp_path, "g.parquet", text=["some text"] * 1000).read_bytes()
    refused([write(tmp_path, "h.parquet", whole[: len(whole) // 2])], "no sound Parquet file")


def test_errors_show_little_of_a_long_value(tmp_path):
    with pytest.raises(InputError) as caught:
        read_texts([write(tmp_path, "a.jsonl", json.dumps({"text": ["x" * 10_000]}))])
    assert re.search(r'is \["x+\.\.\.', str(caught.value))
    assert len(str(caught.value)) < 400
