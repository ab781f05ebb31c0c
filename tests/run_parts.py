"""Small things that tests of scoring runs share: texts, rows, and what an error has to say."""

from inference.texts import Corpus

KEYS = {"revision": "sha256:1", "window": 32, "dtype": "float32", "prefix": None}


def refused(error, *said):
    for words in said:
        assert words in str(error.value), str(error.value)
    assert [str(error.value).count(part) for part in ("\naccepted: ", "\nfix: ")] == [1, 1]


def a_corpus(*texts, domains=None, names=None, clusters=None):
    names = names or [f"d{number}" for number in range(len(texts))]
    return Corpus(tuple(names), tuple(texts), domains, ("texts.jsonl",), clusters)


def a_part(segment=0, **counts):
    sums = {"nll": 4.0, "samples": 2, "tokens": 3, "scored_bytes": 5, "bytes": 5, "seconds": 1.25}
    return {"segment": segment, "gates": []} | sums | counts


def a_row(name, parameters=100):
    return {"model": name, "family": "f", "parameters": parameters}
