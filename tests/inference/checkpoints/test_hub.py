"""Models of the hub, against a small server on this machine that speaks as the hub does."""

import json
import os
import subprocess
import sys
import threading
import time

import huggingface_hub
import numpy as np
import pytest
from hub_server import Hub, serve
from huggingface_hub import constants
from safetensors.numpy import save

from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint

MODEL = "owner/tiny"
INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
TOKENIZER = ["merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"]
USELESS = [
    "README.md",
    "generation_config.json",
    "pytorch_model.bin",
    "model.gguf",
    "tf_model.h5",
    "picture.png",
    "onnx/model.onnx",
    "onnx/tokenizer.json",
    "consolidated.safetensors",
    "original/model.safetensors",
    "training_args.bin",
    "modeling_tiny.py",
]


def weights(seed=0):
    return {"w": np.random.default_rng(seed).normal(size=(50, 40)).astype(np.float32), "b": np.ones(3, np.float16)}


def config(**changed):
    return json.dumps({"model_type": "llama"} | changed).encode()


def single(seed=0, **changed):
    return {"config.json": config(), "model.safetensors": save(weights(seed)), "tokenizer.json": b"{}"} | changed


def sharded(**changed):
    held = dict(zip(SHARDS, ("w", "b"), strict=True))
    files = {shard: save({name: weights()[name]}) for shard, name in held.items()}
    index = {"weight_map": {name: shard for shard, name in held.items()}}
    return {"config.json": config(), INDEX: json.dumps(index).encode(), **files} | changed


@pytest.fixture(scope="module", autouse=True)
def client():
    """Let the client reach this machine without proxy, and close its connections at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        huggingface_hub.close_session()
        yield
        huggingface_hub.close_session()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Run a hub, and let the client know no other hub, cache or token."""
    with serve() as served:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield served


def assert_holds(checkpoint, expected):
    assert checkpoint.names == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(checkpoint.read(name), value)


def refused(source, *said, **options):
    with pytest.raises(InputError) as raised:
        open_checkpoint(source, **options)
    for words in said:
        assert words in str(raised.value), str(raised.value)
    assert len(str(raised.value).splitlines()) == 3


# What is fetched


def test_a_model_is_fetched_with_the_files_it_needs_alone(hub: Hub):
    files = single() | {name: name.encode() for name in TOKENIZER + USELESS}
    commit = hub.add(MODEL, files)
    checkpoint = open_checkpoint(MODEL)
    assert (checkpoint.name, checkpoint.revision) == (MODEL, commit)
    assert checkpoint.config == {"model_type": "llama"}
    assert_holds(checkpoint, weights())
    wanted = sorted(["config.json", "model.safetensors", *TOKENIZER])
    assert sorted(hub.fetched()) == wanted
    assert hub.fetched()[-1] == "model.safetensors"
    assert sorted(path.name for path in checkpoint.folder.iterdir()) == wanted


@pytest.mark.parametrize(
    "file", ["special_tokens_map.json", "added_tokens.json", "vocab.txt", "tokenizer.model", "spiece.model"]
)
def test_other_tokenizer_files_are_fetched_where_they_are(hub: Hub, file):
    hub.add(MODEL, single(**{file: b"x"}))
    assert (open_checkpoint(MODEL).folder / file).read_bytes() == b"x"


def test_only_shards_that_the_index_names_are_fetched(hub: Hub):
    extra = ["model-00003-of-00003.safetensors", "consolidated-00001-of-00001.safetensors", "pytorch_model.bin"]
    hub.add(MODEL, sharded(**dict.fromkeys(extra, b"x")))
    assert_holds(open_checkpoint(MODEL), weights())
    assert sorted(hub.fetched()) == sorted(["config.json", INDEX, *SHARDS])


def test_a_second_time_nothing_is_fetched_again(hub: Hub):
    hub.add(MODEL, sharded())
    first = open_checkpoint(MODEL)
    hub.requests.clear()
    assert open_checkpoint(MODEL) == first
    assert hub.fetched() == []


# Revisions


def test_revisions_are_told_apart(hub: Hub):
    old = hub.add(MODEL, single(seed=1), name="step1")
    new = hub.add(MODEL, single(seed=2))
    hub.add(MODEL, single(seed=3), name="refs/pr/1")
    for checkpoint in (open_checkpoint(f"{MODEL}@step1"), open_checkpoint(MODEL, revision="step1")):
        assert (checkpoint.name, checkpoint.revision) == (MODEL, old)
        assert_holds(checkpoint, weights(1))
    assert open_checkpoint(MODEL).revision == new
    assert_holds(open_checkpoint(f"{MODEL}@{old}"), weights(1))
    assert_holds(open_checkpoint(f"{MODEL}@refs/pr/1", revision="refs/pr/1"), weights(3))


def test_a_branch_is_followed(hub: Hub):
    hub.add(MODEL, single(seed=1))
    open_checkpoint(MODEL)
    commit = hub.add(MODEL, single(seed=2))
    checkpoint = open_checkpoint(MODEL)
    assert checkpoint.revision == commit
    assert_holds(checkpoint, weights(2))


def test_a_branch_that_moves_meanwhile_gives_one_commit(hub: Hub, monkeypatch):
    hub.add(MODEL, single(seed=1))
    download, moved = huggingface_hub.hf_hub_download, []

    def move_then_download(*args, **options):
        moved.append(moved or hub.add(MODEL, sharded(**{"config.json": config(vocab_size=7)})))
        return download(*args, **options)

    monkeypatch.setattr("inference.checkpoints.hub.hf_hub_download", move_then_download)
    checkpoint = open_checkpoint(MODEL)
    assert checkpoint.revision == moved[0]
    assert checkpoint.config["vocab_size"] == 7
    assert_holds(checkpoint, weights())


def test_two_revisions_are_refused(hub: Hub):
    refused(f"{MODEL}@a", "names a revision and revision='b' another", revision="b")
    assert hub.requests == []


@pytest.mark.parametrize("revision", ["", "../../x", "/x", "a b", "a..b", "-x", "x\n", "a\\b", "x/"])
def test_what_cannot_be_a_revision_is_not_asked_for(hub: Hub, revision):
    refused(MODEL, f"{revision!r} cannot be a revision of '{MODEL}'", revision=revision)
    assert hub.requests == []


# Without the hub


@pytest.mark.parametrize("files", [single(), sharded()], ids=["single", "sharded"])
def test_offline_the_cache_is_enough(hub: Hub, monkeypatch, files):
    commit = hub.add(MODEL, files)
    hub.add(MODEL, single(seed=5), name="other")
    online = open_checkpoint(MODEL)
    hub.requests.clear()
    assert open_checkpoint(MODEL, offline=True) == online
    assert open_checkpoint(f"{MODEL}@{commit}", offline=True) == online
    refused(f"{MODEL}@other", "'other' is not in the hub's cache", offline=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert open_checkpoint(MODEL) == online
    refused("owner/more", "'owner/more'", "not in the hub's cache", "since HF_HUB_OFFLINE is set", "once without")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("files", "gone"), [(single(), "model.safetensors"), (sharded(), SHARDS[1]), (sharded(), INDEX)]
)
def test_offline_a_part_is_not_enough(hub: Hub, files, gone):
    hub.add(MODEL, files)
    folder = open_checkpoint(MODEL).folder
    (folder / gone).resolve().unlink()
    named = "model.safetensors" if gone == INDEX else gone
    refused(MODEL, f"{named!r} of '{MODEL}'", "is not in the hub's cache", "since offline is asked for", offline=True)


PROGRAM = """
import sys
from bayeslaw.errors import InputError
from inference.checkpoints.checkpoint import open_checkpoint
for model in sys.argv[1:]:
    try:
        checkpoint = open_checkpoint(model)
        print(checkpoint.revision, checkpoint.read("w").sum().item())
    except InputError as error:
        print(error.problem)
"""


def test_the_environment_is_heeded(hub: Hub, tmp_path):
    commit = hub.add(MODEL, single())
    online = os.environ | {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    found = f"{commit} {weights()['w'].sum().item()}"
    lost = "'owner/more' at revision 'main' is not in the hub's cache"
    for environment, models, said in [
        (online, [MODEL], [found]),
        (online | {"HF_HUB_OFFLINE": "1"}, [MODEL, "owner/more"], [found, lost]),
    ]:
        before = len(hub.requests)
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, *models], env=environment, capture_output=True, text=True, check=True
        )
        assert result.stdout.splitlines() == said
        assert (len(hub.requests) > before) == (environment is online)


# What is not there, or not for everyone


def test_no_such_model(hub: Hub, monkeypatch):
    refused("owner/tyni", "'owner/tyni' is neither a folder here nor a model", hub.address, "check the spelling")
    monkeypatch.setenv("HF_TOKEN", "known")
    refused("owner/tyni", "neither a folder here nor a model")


def test_no_such_revision(hub: Hub):
    hub.add(MODEL, single())
    refused(f"{MODEL}@step9", f"'{MODEL}' has no revision 'step9'", "a branch, a tag or a commit hash")


def test_a_gated_model_needs_a_token(hub: Hub, monkeypatch):
    hub.add(MODEL, single(), gated=True)
    refused(MODEL, "is gated", f"accept the licence at {hub.address}/{MODEL}", "HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "stranger")
    refused(MODEL, "is gated", "HF_TOKEN")
    assert hub.fetched() == []
    hub.repositories[MODEL].tokens.add("stranger")
    assert_holds(open_checkpoint(MODEL), weights())


def test_a_model_without_configuration(hub: Hub):
    files = single()
    del files["config.json"]
    hub.add(MODEL, files)
    refused(MODEL, f"the repository '{MODEL}' has no config.json")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("pytorch_model.bin", "as 'pytorch_model.bin' only, a pickle, which could run any program when read"),
        ("model.gguf", "as 'model.gguf' only"),
        ("consolidated.safetensors", "'consolidated.safetensors' and neither"),
        ("README.md", "has no weights"),
    ],
)
def test_a_model_without_weights_to_use_is_not_fetched(hub: Hub, file, said):
    hub.add(MODEL, {"config.json": config(), file: b"x"})
    refused(MODEL, f"the repository '{MODEL}'", said, "accepted: config.json beside model.safetensors")
    assert hub.fetched() == []


def test_an_index_that_names_a_missing_shard(hub: Hub):
    files = sharded()
    del files[SHARDS[1]]
    hub.add(MODEL, files)
    refused(MODEL, f"names {SHARDS[1]!r}, which is not in the repository")
    assert SHARDS[0] not in hub.fetched()


def test_an_index_that_leads_elsewhere(hub: Hub):
    hub.add(MODEL, sharded(**{INDEX: json.dumps({"weight_map": {"w": "../../w.safetensors"}}).encode()}))
    refused(MODEL, "names the shard '../../w.safetensors'", "inside the folder")


def test_a_configuration_that_is_not_json(hub: Hub):
    hub.add(MODEL, single(**{"config.json": b"{"}))
    refused(MODEL, "config.json in", "is not JSON")


# A hub in trouble


@pytest.fixture
def hasty(monkeypatch):
    """Let the client try again without waiting."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    return monkeypatch


def test_a_hub_that_nobody_runs(hub: Hub, monkeypatch):
    hub.add(MODEL, single())
    refused("owner/more", "neither a folder here")
    open_checkpoint(MODEL)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    refused(MODEL, f"'{MODEL}' could not be fetched from http://127.0.0.1:9", "--offline uses what is in the cache")
    with pytest.raises(InputError) as raised:
        open_checkpoint("owner/more")
    assert "offline" not in raised.value.fix
    assert time.monotonic() - start < 5


def test_a_hub_that_does_not_answer(hub: Hub, monkeypatch):
    hub.silent = threading.Event()
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    start = time.monotonic()
    refused(MODEL, "could not be fetched", "Timeout", "try again")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9", "http://127.0.0.1:x", "ftp://127.0.0.1"])
def test_an_address_that_is_none(hub: Hub, monkeypatch, endpoint):
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    refused(MODEL, f"could not be fetched from {endpoint}")


@pytest.mark.parametrize(
    ("status", "fix"), [(401, "HF_TOKEN"), (403, "check HF_TOKEN"), (500, "later"), (503, "later")]
)
def test_a_hub_that_refuses(hub: Hub, status, fix):
    hub.status = status
    refused(MODEL, MODEL, fix)


@pytest.mark.parametrize("page", [b"<html>please log in</html>", b"[]", b"{}", b'{"id": "x"}'])
def test_a_server_that_is_no_hub(hub: Hub, page):
    hub.page = page
    refused(MODEL, f"{hub.address} does not answer as a hub of models does", "check HF_ENDPOINT")


def test_a_download_that_breaks_off_goes_on(hub: Hub, hasty):
    hub.add(MODEL, single())
    hub.dropped["model.safetensors"] = (1000, 2)
    assert_holds(open_checkpoint(MODEL), weights())
    assert hub.fetched().count("model.safetensors") == 3


def test_a_download_that_always_breaks_off(hub: Hub, hasty):
    hub.add(MODEL, sharded())
    hub.dropped[SHARDS[0]] = (0, 100)
    refused(MODEL, f"{SHARDS[0]} of '{MODEL}' could not be fetched", "try again")
    hub.dropped.clear()
    assert_holds(open_checkpoint(MODEL), weights())


def test_a_download_that_is_too_short_is_not_kept(hub: Hub):
    hub.add(MODEL, sharded())
    hub.shortened[SHARDS[0]] = 100
    refused(MODEL, f"{SHARDS[0]} of '{MODEL}' could not be fetched", "size", "try again")
    hub.shortened.clear()
    assert_holds(open_checkpoint(MODEL), weights())


def test_a_shard_that_is_damaged_on_the_hub(hub: Hub):
    hub.add(MODEL, sharded(**{SHARDS[1]: save(weights())[:-9]}))
    refused(MODEL, SHARDS[1], "is truncated")


def test_a_cache_that_cannot_be_written(hub: Hub, tmp_path, monkeypatch):
    hub.add(MODEL, single())
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    refused(MODEL, f"config.json of '{MODEL}' could not be fetched", "the space on the disk")
