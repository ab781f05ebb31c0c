"""Small things that tests of scoring runs share: a made-up scorer, texts, rows, and what an error has to say."""

import numpy as np

from inference.runs.options import ScoreOptions
from inference.texts.documents import Corpus

WORDS = ScoreOptions(unit="word", batch_tokens=64, window=32, dtype="float32")
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


class Scorer:
    """Gives token k the log-probability -(k % 5 + 1) / 4, and may stop, fail or lack memory."""

    def __init__(self, *, stop=None, spoil=None, roomy=True, scale=1.0):
        self.load_seconds, self.device, self.streamed = {}, "none", ()
        self.stop, self.spoil, self.roomy, self.scale = stop, spoil, roomy, scale
        self.asked, self.plans, self.prefetched, self.closed = [], [], [], 0

    def fits(self, model):
        return self.roomy

    def prefetch(self, model):
        self.prefetched.append(model.name)

    def close(self):
        self.closed += 1

    def score(self, model, plan, batches, *, journal=None):
        self.plans.append(plan)
        for batch in batches:
            if self.stop is not None and len(self.asked) >= self.stop:
                raise KeyboardInterrupt
            self.asked.append((model.name, model.dtype, batch))
            arrays = plan.arrays(batch)
            values = plan.gather(batch, -(arrays.targets % 5 + 1) / np.float32(4), arrays.scored)
            values = values * np.float32(self.scale if model.dtype != "float32" else 1)
            if self.spoil is not None:
                values[-1] = self.spoil
            yield batch, values, 0.5
