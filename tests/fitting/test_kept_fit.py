"""Draws that are kept while a fit goes on: an interrupted fit goes on to the same draws, and nothing is lost."""

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import psutil
import pytest
from brute import WIDTHS
from dying import Killed, die_after
from quick_fits import quick_fits
from shared_fits import tiny_law, tiny_noise
from tables import models_table, tiny_table
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import check_fit_output
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.fitting.kept_fit import checkpoint_beside, fit_to_file
from bayeslaw.losses.folders import write_losses
from bayeslaw.posterior import kept_draws as checkpoint_module
from bayeslaw.posterior.density import Block, Posterior, joined
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.draws_memory import check_room
from bayeslaw.posterior.identity import hash_of_table, identity_of, kept_start
from bayeslaw.posterior.kept_draws import IDENTITY, NOTHING_KEPT, Checkpoint
from bayeslaw.posterior.retries import sample_until_trusted
from bayeslaw.posterior.solution import draw_posterior
from bayeslaw.simulation.tables import simulate_losses


@pytest.fixture
def always_kept(monkeypatch):
    monkeypatch.setattr(checkpoint_module, "SECONDS_BETWEEN", 0.0)


def identical(one: Fit, other: Fit) -> bool:
    return all(one.tree[name].dataset.equals(other.tree[name].dataset) for name in one.tree.children)


def heavy_tails(z, data):
    """Minus the log of a density with heavy tails."""
    return 2.0 * jax.numpy.log1p(z @ z)


def drawn(checkpoint: Checkpoint = NOTHING_KEPT) -> tuple:
    """Draw in two attempts."""
    with jax.enable_x64(True):
        target = Posterior(heavy_tails, np.zeros(2))
        attempts = ((40, 0.5), (120, 0.9))
        mode, factor, choices = np.zeros(2), np.eye(2), {"draws": 250, "chains": 2, "seed": 0, "progress": False}
        made, settings = sample_until_trusted(
            target, (), mode, factor, attempts=attempts, checkpoint=checkpoint, **choices
        )
    return made.position, made.statistics, settings


def test_chains_go_on_to_the_same_draws_whenever_they_stop(tmp_path, monkeypatch, always_kept):
    position, statistics, settings = drawn()
    assert settings["attempts"] == 2
    with Checkpoint(tmp_path / "whole").locked():
        drawn(Checkpoint(tmp_path / "whole"))
    files = len(list((tmp_path / "whole").glob("*.npz")))
    checkpoint = Checkpoint(tmp_path / "kept")
    for share in (0.1, 0.4, 0.8):
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, int(share * files) - len(list((tmp_path / "kept").glob("*.npz"))))
            with pytest.raises(Killed):
                drawn(checkpoint)
    assert any("attempt-2" in path.name for path in (tmp_path / "kept").iterdir())
    # A part that is damaged is as good as none, with those after it.
    part = max((tmp_path / "kept").glob("*-part-00001.npz"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    again, same_statistics, same_settings = drawn(checkpoint)
    np.testing.assert_array_equal(again, position)
    assert all(np.array_equal(same_statistics[name], array) for name, array in statistics.items())
    assert same_settings == settings


def one_normal(z, data):
    """Minus the log of a normal density."""
    return 0.5 * data * (z @ z)


def drawn_in_blocks(checkpoint: Checkpoint = NOTHING_KEPT) -> Draws:
    """Draw from two independent blocks, the first of them in two attempts."""
    with jax.enable_x64(True):
        parts = (("tails", (0, 1), heavy_tails), ("middle", (2,), one_normal))
        blocks = tuple(Block(name, at, Posterior(potential, np.zeros(len(at)))) for name, at, potential in parts)
        choices = {"draws": 200, "chains": 2, "seed": 0, "attempts": {"nuts": ((40, 0.5), (60, 0.9))}}
        return draw_posterior(joined(blocks), np.asarray(3.0), checkpoint=checkpoint, **choices).draws


def test_blocks_go_on_to_the_same_draws(tmp_path, always_kept):
    whole = drawn_in_blocks()
    with Checkpoint(tmp_path / "whole").locked():
        drawn_in_blocks(Checkpoint(tmp_path / "whole"))
    files = len(list((tmp_path / "whole").glob("*.npz")))
    for share in (0.3, 0.9):
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, int(share * files) - len(list((tmp_path / "kept").glob("*.npz"))))
            with pytest.raises(Killed):
                drawn_in_blocks(Checkpoint(tmp_path / "kept"))
    assert {path.name.split("-")[0] for path in (tmp_path / "kept").iterdir()} == {"tails", "middle"}
    checkpoint = Checkpoint(tmp_path / "kept")
    again = drawn_in_blocks(checkpoint)
    np.testing.assert_array_equal(again.position, whole.position)
    assert all(np.array_equal(again.statistics[name], array) for name, array in whole.statistics.items())
    assert checkpoint.seconds_before > 0


def test_parts_after_a_damaged_one_are_of_no_use(kept, always_kept):
    checkpoint, _ = kept
    record = checkpoint.chain("chain")
    for part in range(3):
        record.keep(10 * (part + 1), [np.asarray(part)], [np.full(10, float(part))])
    file = checkpoint.path / "chain-part-00001.npz"
    file.write_bytes(file.read_bytes()[:-30])
    again = checkpoint.chain("chain")
    steps, state, draws = again.read()
    assert (steps, int(state[0]), len(draws)) == (10, 0, 1)
    again.keep(15, [np.asarray(7)], [np.full(5, 7.0)])
    steps, state, draws = checkpoint.chain("chain").read()
    assert (steps, int(state[0])) == (15, 7)
    np.testing.assert_array_equal(np.concatenate([part[0] for part in draws]), [0.0] * 10 + [7.0] * 5)


def test_a_fit_that_was_interrupted_goes_on_to_the_same_file(tiny_fit, tmp_path, monkeypatch, always_kept):
    path, told = tmp_path / "new" / "fit.nc", list[str]()
    choices = {"draws": 1000, "chains": 4, "seed": 0, "parameters": "total", "progress": False}

    def go_on() -> Fit:
        noise = tiny_noise("loss")
        return fit_to_file(tiny_law(WIDTHS), tiny_table(), path, noise=noise, say=told.append, **choices)

    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, 14)
        with pytest.raises(Killed):
            go_on()
    assert not path.exists()
    assert len(list(checkpoint_beside(path).glob("*.npz"))) > 5
    assert identical(go_on(), tiny_fit)
    assert identical(load_fit(path), tiny_fit)
    assert told == [f"going on from the draws kept in {str(checkpoint_beside(path))!r}"]
    assert [entry.name for entry in path.parent.iterdir()] == ["fit.nc"]


def fit_quickly(path: Path) -> list[str]:
    """Fit to a file without the sampler, and return what was told."""
    told: list[str] = []
    choices = {"draws": 60, "chains": 1, "parameters": "total", "progress": False, "seed": 0}
    with quick_fits():
        fit_to_file(tiny_law(WIDTHS), tiny_table(), path, noise=tiny_noise("loss"), say=told.append, **choices)
    return told


def refused_for_a_full_disk(path: Path, *parts: str) -> InputError:
    """Fit while no file can be written whose path has one of some parts."""
    write = Path.write_bytes

    def fail(self, content):
        if any(part in str(self) for part in parts):
            write(self, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return write(self, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(InputError, match="No space left") as caught:
            fit_quickly(path)
    return caught.value


def test_a_full_disk_leaves_the_draws(tmp_path):
    kept = tmp_path / ".f.nc.partial"
    error = refused_for_a_full_disk(tmp_path / "f.nc", "/.f-")
    assert error.fix.startswith("make room, and give the same command again")
    assert str(kept) in error.fix
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert fit_quickly(tmp_path / "f.nc") == [f"going on from the draws kept in {str(kept)!r}"]
    assert [path.name for path in tmp_path.iterdir()] == ["f.nc"]


@pytest.mark.slow
def test_where_the_draws_had_no_room_either_the_fit_goes_elsewhere(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    error = refused_for_a_full_disk(tmp_path / "g.nc", f"{tmp_path.name}/.g-", ".g.nc.partial")
    (rescued,) = elsewhere.glob("*/g.nc")
    assert str(rescued) in error.fix
    assert load_fit(rescued).tree["posterior"].sizes["draw"] == 60
    error = refused_for_a_full_disk(tmp_path / "h.nc", "/.h-", ".h.nc.partial", "elsewhere")
    assert "no room for its draws either" in error.fix
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def identity(**changes):
    """Return what the draws of a fit depend on, with some of it changed."""
    given = {"law": tiny_law(WIDTHS), "noise": tiny_noise("loss"), "table": tiny_table(), "seed": 0} | changes
    settings = {"draws": 60, "seed": given["seed"]}
    return identity_of(given["law"].specification, given["noise"].specification, given["table"], settings)


@pytest.fixture
def kept(tmp_path):
    """Return a checkpoint in which something is kept, and what it told."""
    told: list[str] = []
    checkpoint = Checkpoint(tmp_path / "kept", told.append)
    checkpoint.begin(identity())
    checkpoint.write("start", {"mode": np.zeros(2), "factor": np.eye(2), "height": np.asarray(1.0)})
    return checkpoint, told


CHANGES = {
    "seed": lambda: {"seed": 1},
    "law": lambda: {"law": tiny_law(WIDTHS | {"exponent": 0.07})},
    "noise": lambda: {"noise": tiny_noise("log_loss")},
    "table": lambda: {"table": tiny_table().assign(loss=np.nextafter(tiny_table()["loss"], np.inf))},
}


@pytest.mark.parametrize("name", CHANGES)
def test_draws_of_anything_else_are_not_gone_on_from(kept, name):
    checkpoint, told = kept
    checkpoint.begin(identity())
    assert checkpoint.read("start") is not None
    checkpoint.begin(identity(**CHANGES[name]()))
    assert told[1].endswith(f"are not used (not the same {name}); the fit starts anew")
    assert checkpoint.read("start") is None


def test_draws_of_another_version_are_not_gone_on_from(kept):
    checkpoint, told = kept
    file = checkpoint.path / IDENTITY
    file.write_text(file.read_text().replace('"jax": "', '"jax": "0'))
    checkpoint.begin(identity())
    assert "not the same version" in told[0]
    checkpoint.write("start", {})
    file.write_bytes(b"half")
    checkpoint.begin(identity())
    assert checkpoint.read("start") is None


def test_draws_of_a_density_that_was_changed_are_not_gone_on_from(kept):
    checkpoint, told = kept
    found = np.ones(2), np.eye(2)
    same, other = (lambda z: np.asarray(1.0 + z @ z)), (lambda z: np.asarray(1.0 + 1e-6 + z @ z))
    with jax.enable_x64(True):
        mode, _ = kept_start(checkpoint, same, lambda: found)
        assert (mode == 0).all()
        mode, _ = kept_start(checkpoint, other, lambda: found)
        assert (mode == 1).all()
    assert "not the same density" in told[0]


def test_one_process_at_a_time(tmp_path):
    with Checkpoint(tmp_path / ".f.nc.partial").locked():
        with pytest.raises(InputError, match="another process is at work"):
            fit_quickly(tmp_path / "f.nc")
        with pytest.raises(InputError, match="another process is at work"):
            fit(tiny_law(WIDTHS), tiny_table(), checkpoint=tmp_path / ".f.nc.partial")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds 'mine\.txt'"):
        fit(tiny_law(WIDTHS), tiny_table(), checkpoint=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_input_that_is_refused_leaves_nothing(tmp_path):
    choices = {"draws": 60, "chains": 1, "seed": 0, "parameters": "total", "progress": False}
    few = models_table([3.0, 2.0], [1e8, 1e9], ["a", "b"])
    with pytest.raises(InputError, match="different values"):
        fit_to_file(tiny_law(WIDTHS), few, tmp_path / "new" / "f.nc", **choices)
    assert list(tmp_path.iterdir()) == []


def test_the_hash_of_a_table_tells_any_change():
    table = tiny_table()
    changed = [
        table.assign(loss=table["loss"].copy(data=np.nextafter(table["loss"], np.inf))),
        table.assign_attrs(unit="other"),
        table.rename(loss="losses"),
        table.assign(family=("lm", ["x", *table["family"].to_numpy()[1:]])),
        table.isel(lm=[1, 0, *range(2, table.sizes["lm"])]),
    ]
    assert hash_of_table(table) == hash_of_table(table.copy(deep=True))
    assert len({hash_of_table(other) for other in [table, *changed]}) == 1 + len(changed)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a file system that permissions say nothing of")
@pytest.mark.parametrize("name", ["f.nc", "f.zarr", "new/f.nc"])
def test_an_output_where_nothing_can_be_made_is_refused_before_sampling(name):
    with pytest.raises(InputError, match="nothing can be written into '/proc'"):
        check_fit_output(f"/proc/{name}")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"draws": 10**12}, r"1,000,000,000,000 draws of each of 4 chains would take [\d,]+ GB"),
        ({"chains": 10**9}, r"1,000 draws of each of 1,000,000,000 chains would take [\d,]+ GB"),
        ({"draws": 10**30}, "draws is 1000"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
    ],
)
def test_absurd_numbers_are_refused(choices, said):
    with pytest.raises(InputError, match=said):
        fit(tiny_law(WIDTHS), tiny_table(), noise=tiny_noise("loss"), **choices)


def test_what_is_refused_for_want_of_memory_says_what_fits(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=200_000))
    with pytest.raises(InputError, match=r"would take 0\.0016 GB of memory, and 0\.0002 GB are free") as caught:
        check_room(1000, 4, coordinates=4, rows=8)
    fewer = int(caught.value.accepted.split()[2].replace(",", ""))
    check_room(fewer, 1, coordinates=4, rows=8)
    with pytest.raises(InputError):
        check_room(fewer + 1, 1, coordinates=4, rows=8)


def test_an_interrupt_says_how_to_go_on(tmp_path, monkeypatch):
    table = tmp_path / "losses"
    write_losses(simulate_losses(samples=60, clusters=20, families=2, sizes=4), table)
    kept = tmp_path / ".f.nc.partial"

    def interrupted(*_, **__):
        kept.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("bayeslaw.fitting.kept_fit.fit_to_file", interrupted)
    done = CliRunner().invoke(app, ["fit", str(table), "--law", "power", "--out", str(tmp_path / "f.nc")])
    assert done.exit_code == 130
    assert f"interrupted: the same command goes on from the draws kept in {str(kept)!r}" in done.stderr
