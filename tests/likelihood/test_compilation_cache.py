"""Compiled programs serve the next process, of whoever has no cache of their own and wants one."""

import json
import os
import subprocess
import sys
import threading

import pytest
from filelock import FileLock

from bayeslaw.likelihood import compilation_cache
from bayeslaw.likelihood.compilation_cache import ENABLED, FOLDER, SWITCH, cache_folder, use_compilation_cache

PROGRAM = """
import json, sys
before = sys.argv[1]
if before == "command":
    from bayeslaw.likelihood.compilation_cache import use_compilation_cache
    use_compilation_cache()
import jax
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.rpartition("/")[2]))
if before == "own":
    jax.config.update("jax_compilation_cache_dir", sys.argv[2])
if before == "compiled":
    # JAX has looked for a folder, and found none.
    jax.jit(lambda x: x + 1)(1.0)
from bayeslaw.likelihood.compiled import compile_once
def cubed(x):
    return x**3
assert float(compile_once(cubed, 2.0)(2.0)) == 8
folder, size = jax.config.jax_compilation_cache_dir, jax.config.jax_compilation_cache_max_size
print(json.dumps([folder, size, "cache_hits" in hits]))
"""


def run(folder, before="", other="", **settings):
    """Compile a program in a process of its own; return JAX's folder, its size, and whether it was found there."""
    unset = ("JAX_COMPILATION_CACHE_DIR", "JAX_COMPILATION_CACHE_MAX_SIZE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"XDG_CACHE_HOME": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"} | settings
    command = [sys.executable, "-W", "error", "-c", PROGRAM, before, str(other)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_what_one_process_compiled_the_next_one_finds(tmp_path):
    where, size, found = run(tmp_path, "compiled")
    assert where.startswith(str(tmp_path / "bayeslaw" / "compiled"))
    assert size == compilation_cache.LARGEST
    assert not found
    assert run(tmp_path, "compiled") == [where, size, True]
    # The command line sets it before JAX is imported.
    assert run(tmp_path, "command") == [where, size, True]


@pytest.mark.slow
def test_whoever_has_a_cache_or_wants_none_is_left_alone(tmp_path):
    assert run(tmp_path / "a", "own", tmp_path / "mine")[0] == str(tmp_path / "mine")
    assert run(tmp_path / "a", **{SWITCH: "off"})[0] is None
    assert not (tmp_path / "a" / "bayeslaw").exists()


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Ask anew, for a user whose caches lie in a folder of the test; nothing reaches the settings of JAX."""
    for name in (SWITCH, FOLDER, ENABLED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    use_compilation_cache.cache_clear()
    yield tmp_path
    use_compilation_cache.cache_clear()


@pytest.mark.parametrize(("name", "value"), [(SWITCH, "Off"), (SWITCH, "0"), (FOLDER, "there"), (ENABLED, "false")])
def test_settings_of_the_environment_are_kept(fresh, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    before = dict(os.environ)
    use_compilation_cache()
    assert dict(os.environ) == before
    assert not list(fresh.iterdir())


def test_a_folder_that_others_may_write_is_not_used(fresh):
    folder = cache_folder()
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    assert cache_folder() is None


def test_a_folder_that_cannot_be_made_or_is_held_is_not_used(fresh, monkeypatch):
    folder = cache_folder()
    monkeypatch.setattr(compilation_cache, "LOCK_SECONDS", 0.05)
    held, done = threading.Event(), threading.Event()

    def hold():
        with FileLock(folder / ".writable"):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert cache_folder() is None
    done.set()
    thread.join()
    assert cache_folder() == folder
    (fresh / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(fresh / "file"))
    assert cache_folder() is None


def test_machines_of_other_abilities_have_folders_of_their_own(fresh, monkeypatch):
    folder = cache_folder()
    monkeypatch.setattr(compilation_cache, "_machine", lambda: "other")
    assert cache_folder() != folder
