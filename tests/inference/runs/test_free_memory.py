"""Memory that is free within the limits of control groups."""

import psutil
import pytest

from inference.runs import free_memory as memory

MEBIBYTE = 1 << 20


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return a folder of control groups; the process is in ``outer/inner``."""
    (tmp_path / "groups" / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "process").write_text("1:name=other:/\n0::/outer/inner\n")
    monkeypatch.setattr(memory, "GROUPS_OF_PROCESS", tmp_path / "process")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 900 * MEBIBYTE}))
    return tmp_path / "groups"


def limit(group, most, used, files=0):
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 7\ninactive_file {files}\nactive_file {files}\n")


def test_without_limits_it_is_what_the_machine_has(groups):
    assert memory.free_memory() == 900 * MEBIBYTE
    limit(groups / "outer" / "inner", "max", 5 * MEBIBYTE)
    assert memory.free_memory() == 900 * MEBIBYTE


def test_the_tightest_group_counts(groups):
    limit(groups / "outer" / "inner", 500 * MEBIBYTE, 200 * MEBIBYTE)
    assert memory.free_memory() == 300 * MEBIBYTE
    limit(groups / "outer", 400 * MEBIBYTE, 350 * MEBIBYTE, files=10 * MEBIBYTE)
    assert memory.free_memory() == 70 * MEBIBYTE
    limit(groups / "outer", 400 * MEBIBYTE, 450 * MEBIBYTE)
    assert memory.free_memory() == 0


def test_groups_of_the_first_version(groups, tmp_path):
    folder = groups / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(f"{300 * MEBIBYTE}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{250 * MEBIBYTE}\n")
    (folder / "memory.stat").write_text(f"total_inactive_file {MEBIBYTE}\ninactive_file 9\n")
    for line in ("", "4:memory:/outside/of/the/container\n"):
        (tmp_path / "process").write_text(f"{line}0::/\n")
        assert memory.free_memory() == 51 * MEBIBYTE


def test_what_cannot_be_read_is_no_limit(groups, tmp_path):
    limit(groups / "outer", "four", 1)
    limit(groups / "outer" / "inner", 10, 1)
    (groups / "outer" / "inner" / "memory.stat").unlink()
    (groups.parent / "memory.max").write_text("1")
    assert memory.free_memory() == 900 * MEBIBYTE
    (tmp_path / "process").unlink()
    assert memory.free_memory() == 900 * MEBIBYTE
