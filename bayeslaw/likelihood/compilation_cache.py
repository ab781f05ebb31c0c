"""Compiled programs that are kept between processes, in the user's cache folder."""

import hashlib
import os
import platform
import stat
import sys
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from bayeslaw.storage import user_cache

SWITCH = "BAYESLAW_COMPILATION_CACHE"
"""Environment variable that switches it off."""
OFF = ("off", "0", "no", "false")
FOLDER, ENABLED = "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"
LARGEST = 2**30
SECONDS = 0.2
LOCK_SECONDS = 5.0
SETTINGS = {
    "jax_compilation_cache_max_size": LARGEST,
    "jax_persistent_cache_min_compile_time_secs": SECONDS,
}
"""Of JAX: up to how many bytes are kept, those used last, and from which time of compiling on."""


@cache
def use_compilation_cache() -> None:
    """Keep compiled programs for other processes of the user, unless the user has settings of JAX's cache.

    What takes more than `SECONDS` to compile is kept in a folder for machines of this kind that only the user may
    write, up to `LARGEST` bytes: those beyond that were not used for longest are removed. Processes write one after
    the other. Where the folder cannot be used, nothing is kept. It counts for all that JAX compiles in the process from
    then on.
    """
    if os.environ.get(SWITCH, "").strip().lower() in OFF or FOLDER in os.environ or ENABLED in os.environ:
        return
    if "jax" not in sys.modules:
        if (folder := cache_folder()) is not None:
            os.environ[FOLDER] = str(folder)
            for name, value in SETTINGS.items():
                os.environ.setdefault(name.upper(), str(value))
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    if jax.config.jax_compilation_cache_dir is not None or (folder := cache_folder()) is None:
        return
    for name, value in SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # JAX looks for a folder when it first compiles, and never again.
    compilation_cache.reset_cache()


def cache_folder() -> Path | None:
    """Make the folder of compiled programs for machines of this kind; None where it cannot be used."""
    cached = user_cache()
    if cached is None:
        return None
    folder = cached / "compiled" / _machine()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Programs are run as they are found, so that nobody else may have put them there.
        if hasattr(os, "getuid"):
            found = folder.stat()
            if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
        with FileLock(folder / ".writable", timeout=LOCK_SECONDS):
            return folder
    except (OSError, NotImplementedError, Timeout):
        return None


def _machine() -> str:
    """Name the kind of processor: programs are compiled for what it can do, and homes are shared between machines."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        abilities = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(abilities.encode()).hexdigest()[:8]}"
