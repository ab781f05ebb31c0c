"""What a cluster is asked for and how batches get to workers that may be lost, without Ray."""

import math
import random
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayeslaw.errors import InputError
from inference.runs import worker_pool
from inference.runs.batch_queue import SHARD_BATCHES, SHARD_SECONDS, BatchQueue
from inference.runs.cluster_resources import Node, actor_options, no_place, places, worker_resources
from inference.runs.worker_pool import SHARDS_EACH, WorkerPool

CPU_NODE = Node("plain", {"CPU": 4.0, "memory": 8e9, "node:10.0.0.1": 1.0})
GPU_NODE = Node("fast", {"CPU": 8.0, "GPU": 4.0, "memory": 64e9, "special": 1.0, "object_store_memory": 9e9})


def refused(error, *said):
    for words in said:
        assert words in str(error.value), str(error.value)
    assert [str(error.value).count(part) for part in ("\naccepted: ", "\nfix: ")] == [1, 1]


def a_model(*, parameters=1_000_000, dtype="float32", tensor_parallel=1, **resources):
    request = SimpleNamespace(resources=resources)
    return SimpleNamespace(
        name="m", request=request, parameters={"total": parameters}, dtype=dtype, tensor_parallel=tensor_parallel
    )


def a_plan(count, *, rows=2, inputs=64):
    shape = SimpleNamespace(rows=rows, inputs=inputs)
    return SimpleNamespace(batches=[shape] * count, arrays=lambda batch: batch)


def test_workers_ask_for_a_cpu_and_room_for_the_weights():
    assert worker_resources(a_model(), [CPU_NODE]) == {"num_cpus": 1.0, "memory": pytest.approx(4.8e6)}
    asked = worker_resources(a_model(dtype="bfloat16", tensor_parallel=2), [CPU_NODE, GPU_NODE])
    assert asked == {"num_cpus": 1.0, "num_gpus": 2.0, "memory": pytest.approx(2.4e6)}
    assert worker_resources(a_model(), [Node("bare", {"CPU": 1.0})]) == {"num_cpus": 1.0}


def test_resources_of_the_model_come_first():
    asked = worker_resources(a_model(num_gpus=0.0, num_cpus=2.0, memory=5e9, special=1.0), [GPU_NODE])
    assert asked == {"num_cpus": 2.0, "num_gpus": 0.0, "memory": 5e9, "special": 1.0}
    options = actor_options(asked, {"HF_HUB_OFFLINE": "1", "HF_TOKEN": "secret", "JAX_COMPILATION_CACHE_DIR": ""})
    environment = options.pop("runtime_env")["env_vars"]
    assert options == {"num_cpus": 2.0, "num_gpus": 0.0, "memory": 5_000_000_000, "resources": {"special": 1.0}}
    assert environment == {
        "HF_HUB_OFFLINE": "1",
        "PJRT_NPROC": "2",
        "OMP_NUM_THREADS": "2",
        "TOKENIZERS_PARALLELISM": "false",
        "JAX_PLATFORMS": "cpu",
    }


@pytest.mark.parametrize(
    ("asked", "platform", "fraction"),
    [
        ({"num_cpus": 1.0, "num_gpus": 1.0}, None, None),
        ({"num_cpus": 1.0, "num_gpus": 0.5}, None, "0.450"),
        ({"num_cpus": 0.5}, "cpu", None),
        ({"num_cpus": 1.0, "TPU": 4.0}, None, None),
    ],
)
def test_workers_see_the_accelerators_that_they_asked_for(asked, platform, fraction):
    environment = actor_options(asked, {})["runtime_env"]["env_vars"]
    assert environment.get("JAX_PLATFORMS") == platform
    assert environment.get("XLA_PYTHON_CLIENT_MEM_FRACTION") == fraction
    assert environment["PJRT_NPROC"] == "1"


@pytest.mark.parametrize(
    ("name", "value", "said"), [("num_gpus", 1.5, "1.5"), ("special", 2.5, "2.5"), ("GPU", 1, "GPU")]
)
def test_what_cannot_be_asked_for_is_refused(name, value, said):
    with pytest.raises(InputError) as error:
        worker_resources(a_model(**{name: value}), [GPU_NODE])
    refused(error, "'m'", name, said)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 9)), max_size=4),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(1, 4),
)
def test_places_are_counted_by_filling_the_nodes_one_by_one(nodes, cpus, gpus, memory):
    asked = {"num_cpus": float(cpus), "num_gpus": float(gpus), "memory": float(memory)}
    expected = 0
    for left in nodes:
        most = max(1, left[0])
        while most and all(have >= want for have, want in zip(left, (cpus, gpus, memory), strict=True)):
            left = [have - want for have, want in zip(left, (cpus, gpus, memory), strict=True)]
            expected, most = expected + 1, most - 1
    held = [Node("n", {"CPU": float(c), "GPU": float(g), "memory": float(m)}) for c, g, m in nodes]
    assert places(asked, held) == expected


def test_parts_of_resources_add_up_to_whole_ones():
    assert places({"num_cpus": 0.1, "num_gpus": 0.25}, [Node("n", {"CPU": 16.0, "GPU": 1.0})]) == 4
    assert places({"num_cpus": 0.1, "special": 0.1}, [Node("n", {"CPU": 16.0, "special": 0.3})]) == 3


def test_a_model_without_a_place_is_told_what_there_is():
    error = no_place("m", {"num_cpus": 1.0, "num_gpus": 2.0, "memory": 9e9}, [CPU_NODE, GPU_NODE, GPU_NODE])
    text = str(error)
    assert "of 'm' asks for: num_cpus 1, num_gpus 2, memory 9e9\n" in text
    assert "one node has: num_cpus 4, memory 8e9; num_cpus 8, num_gpus 4, memory 64e9, special 1\n" in text
    assert "no node" in no_place("m", {"num_cpus": 1.0}, []).accepted


@given(st.integers(1, 60), st.integers(1, 9), st.floats(1e-6, 1e3), st.integers(1, 40_000))
def test_shards_are_consecutive_and_small(count, workers, seconds, inputs):
    plan = a_plan(count, rows=2, inputs=inputs)
    queue = BatchQueue(plan, list(range(count)))
    assert queue.take(workers) == (0,)
    queue.timed([seconds, seconds * 3])
    taken = [0]
    while left := len(queue):
        shard = queue.take(workers)
        taken += shard
        assert len(shard) == 1 or len(shard) * seconds <= SHARD_SECONDS
        assert len(shard) == 1 or len(shard) * 2 * inputs <= 65_536
        assert len(shard) <= max(1, min(SHARD_BATCHES, left // (2 * workers)))
    assert taken == list(range(count))
    assert queue.take(workers) == ()


def test_quick_batches_go_out_in_larger_shards():
    queue = BatchQueue(a_plan(200), range(200))
    queue.timed([9.0, 1e-4])
    assert queue.take(1) == tuple(range(SHARD_BATCHES))
    queue.timed([SHARD_SECONDS / 3])
    assert len(queue.take(1)) == 3


def test_lost_batches_wait_in_front_and_are_counted():
    queue = BatchQueue(a_plan(30), range(0, 30, 3))
    assert queue.put_back(queue.take(1)) == 1
    assert queue.take(1) == (0,)
    assert queue.take(1) == (3,)
    assert [queue.put_back((3,)), queue.put_back((0,))] == [1, 2]
    assert [queue.take(1) for _ in range(3)] == [(0,), (3,), (6,)]


class RayError(Exception):
    """The cluster failed."""


class RayTaskError(RayError):
    """The code of a task failed."""

    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class Handle:
    """A worker, which takes calls until it is known to be dead."""

    def __init__(self):
        self.dead, self.killed, self.under_way = False, False, 0
        self.score = SimpleNamespace(remote=self._score)

    def _score(self, shard):
        assert not self.killed
        self.under_way += 1
        assert self.under_way <= SHARDS_EACH
        return Reference(self, shard)


class Reference:
    def __init__(self, handle, shard=None):
        self.handle, self.shard = handle, shard


class Cluster:
    """Stands for Ray: answers come in any order; `fate` says of each whether it comes, or what is raised."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, fate, *, seed=0):
        self.fate, self.held, self.random = fate, [Node("n", {"CPU": 3.0})], random.Random(seed)
        self.handles, self.told, self.asked = [], [], Counter()

    def pool(self, asked=None):
        asked = {"num_cpus": 1.0} if asked is None else asked
        return WorkerPool(self, "m", asked, self.start, lambda: self.held, self.told.append)

    def start(self):
        self.handles.append(Handle())
        return self.handles[-1], Reference(self.handles[-1])

    def wait(self, references, num_returns, timeout):
        assert references
        return [self.random.choice(references)], []

    def get(self, reference):
        handle, shard = reference.handle, reference.shard
        if shard is not None:
            handle.under_way -= 1
            self.asked.update(shard)
        error = RayError("gone with its worker") if handle.dead else self.fate(reference)
        if error is not None:
            handle.dead = not isinstance(error, RayTaskError)
            raise error
        return "facts" if shard is None else [(f"values of {batch}", 1.0) for batch in shard]

    def kill(self, handle):
        handle.dead = handle.killed = True


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 0.4))
def test_every_batch_comes_once_whatever_is_lost(seed, count, chance):
    chances = random.Random(seed)
    # Fewer in a row than are borne, so that the run ends.
    lost = Counter()

    def fate(reference):
        worst = max((lost[batch] for batch in reference.shard), default=0) if reference.shard else lost["loading"]
        if chances.random() < chance and worst < worker_pool.LOSSES_BORNE - SHARDS_EACH:
            lost.update(reference.shard or ["loading"])
            return RayError("killed")
        lost["loading"] = 0 if reference.shard is None else lost["loading"]
        return None

    cluster = Cluster(fate, seed=seed)
    batches = list(range(0, 2 * count, 2))
    plan = a_plan(2 * count)
    pool = cluster.pool()
    found = []
    try:
        for shard, answer in pool.score(plan, BatchQueue(plan, batches)):
            assert [values for values, _ in answer] == [f"values of {batch}" for batch in shard]
            found += shard
    except InputError:
        # A batch that shared its worker with others that were lost too may have had its share of losses.
        assert max(cluster.asked.values()) > worker_pool.LOSSES_BORNE
    else:
        assert sorted(found) == batches
    assert sum(not handle.killed for handle in cluster.handles) <= 3
    pool.end()
    assert all(handle.killed for handle in cluster.handles)


def test_no_more_workers_than_batches_or_places_and_they_stay_for_the_next_texts():
    cluster = Cluster(lambda reference: None)
    pool, plan = cluster.pool(), a_plan(20)
    assert len(list(pool.score(plan, BatchQueue(plan, [4])))) == 1
    assert len(cluster.handles) == 1
    pool._looked = -math.inf
    assert sum(len(shard) for shard, _ in pool.score(plan, BatchQueue(plan, range(20)))) == 20
    assert len(cluster.handles) == 3
    assert set(cluster.told) == {"facts"}


def test_nodes_that_join_get_workers(monkeypatch):
    monkeypatch.setattr(worker_pool, "LOOK_SECONDS", 0.0)
    cluster, plan = Cluster(lambda reference: None), a_plan(40)
    for number, _ in enumerate(cluster.pool().score(plan, BatchQueue(plan, range(40)))):
        if number == 3:
            cluster.held.append(Node("new", {"CPU": 2.0}))
    assert len(cluster.handles) == 5


def test_a_batch_that_kills_its_workers_ends_the_run():
    cluster = Cluster(lambda one: RayError("out of \x1b[36mmemory\x1b[39m") if one.shard and 5 in one.shard else None)
    plan, found = a_plan(12), []
    scored = cluster.pool().score(plan, BatchQueue(plan, range(12)))
    with pytest.raises(InputError) as error:
        found.extend(batch for shard, _ in scored for batch in shard)
    refused(error, "'m'", "4 times", "batches 5 to 5", "out of memory")
    assert 5 not in found
    assert len(found) == len(set(found))


def test_workers_that_die_while_loading_end_the_run():
    cluster, plan = Cluster(lambda one: RayError("no room")), a_plan(12)
    with pytest.raises(InputError) as error:
        list(cluster.pool().score(plan, BatchQueue(plan, range(12))))
    refused(error, "'m'", "10 times", "loading it", "no room")


def test_what_a_worker_finds_wrong_reaches_the_user():
    wrong = InputError("weights are not finite", "finite weights", "use others")
    cluster, plan = Cluster(lambda one: RayTaskError(wrong)), a_plan(2)
    with pytest.raises(InputError) as error:
        list(cluster.pool().score(plan, BatchQueue(plan, range(2))))
    assert error.value is wrong
    cluster = Cluster(lambda one: RayTaskError(ZeroDivisionError()) if one.shard else None)
    with pytest.raises(RayTaskError):
        list(cluster.pool().score(plan, BatchQueue(plan, range(2))))


def test_nodes_without_the_package_are_named():
    said = "The actor failed to import on the worker. (pid=3, ip=10.0.0.1) \nModuleNotFoundError: No module named 'x'"
    cluster, plan = Cluster(lambda one: RayError(said)), a_plan(2)
    with pytest.raises(InputError) as error:
        list(cluster.pool().score(plan, BatchQueue(plan, range(2))))
    refused(error, "No module named 'x'", "install bayeslaw")
    assert len(cluster.handles) == 2


def test_a_cluster_that_lost_its_places_ends_the_run():
    cluster, plan = Cluster(lambda one: None), a_plan(30)
    scored = cluster.pool().score(plan, BatchQueue(plan, range(30)))
    next(scored)
    cluster.held = [Node("other", {"GPU": 1.0})]
    for handle in cluster.handles:
        handle.dead = True
    with pytest.raises(InputError) as error:
        list(scored)
    refused(error, "no node", "'m'", "num_cpus 1")
