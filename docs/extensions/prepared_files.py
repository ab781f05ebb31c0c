"""Files that pages use: tables and fits of the zoo, made once at the start of a build by commands that pages show."""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinxcontrib.programoutput import program_output

LOG = logging.getLogger(__name__)
REPOSITORY = Path(__file__).parents[2]
WORK = "BAYESLAW_DOCS_WORK"
# Chains of commands that may run side by side; each makes the file named first.
CHAINS = {
    "f.nc": [
        "bayeslaw pools zoo --unit document --max-size 3 --out pools",
        "bayeslaw fit pools --law collaboration --out f.nc",
    ],
    "joint.nc": ["bayeslaw fit losses.csv --models models.csv --unit document --cluster file --out joint.nc"],
}
# What draws bars of progress in a browser is not installed.
STARTUP = f"""import os, warnings
os.chdir(os.environ["{WORK}"])
warnings.filterwarnings("ignore", message="IProgress not found")
"""
CANDIDATES = """name,family,parameters,price
qwen3-4m,qwen3,4M,0.4
llama-6m,llama,6M,0.6
mamba-2m,mamba,2M,0.2
"""


def package_digest() -> str:
    """Return a digest of both packages and their data, which what pages print depends on."""
    digest = hashlib.sha256()
    for package in ("bayeslaw", "inference"):
        for file in sorted((REPOSITORY / package).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.read_bytes())
    digest.update(repr((CHAINS, STARTUP)).encode())
    return digest.hexdigest()[:16]


def set_up_folder(app: Sphinx, config: Config) -> None:
    """Name the folder in which pages run, beside the output, and what programs should print."""
    work = Path(app.outdir).parent / "work" / package_digest()
    work.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        WORK: str(work),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
        "COLUMNS": "96",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "HF_HUB_OFFLINE": "1",
        # Bars of progress are no part of a page.
        "TQDM_DISABLE": "1",
    }
    # Names may differ from those that `Config` lets be set as attributes.
    config["nb_execution_cache_path"] = str(work / "executed")
    set_up_kernel(work)


def set_up_kernel(work: Path) -> None:
    """Let kernels start in that folder and draw pictures that are sharp on every screen."""
    profile = work / "ipython" / "profile_default"
    (profile / "startup").mkdir(parents=True, exist_ok=True)
    (profile / "startup" / "folder.py").write_text(STARTUP)
    settings = "c.InlineBackend.figure_formats = {'retina'}\nc.HistoryManager.enabled = False\n"
    (profile / "ipython_kernel_config.py").write_text(settings)
    os.environ["IPYTHONDIR"] = str(work / "ipython")


def make_files(app: Sphinx) -> None:
    """Write tables, and run the commands whose files are not there; what pages wrote in an earlier build goes."""
    work = Path(os.environ[WORK])
    kept = {"executed", "ipython", "pools", "printed", "losses.csv", *CHAINS}
    for path in work.iterdir():
        if path.name not in kept:
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
    (work / "printed").mkdir(exist_ok=True)
    zoo = REPOSITORY / "bayeslaw" / "datasets" / "zoo"
    (work / "checkpoints").symlink_to(zoo / "checkpoints")
    (work / "texts.jsonl").symlink_to(zoo / "texts.jsonl")
    (work / "candidates.csv").write_text(CANDIDATES)
    write_tables(work)
    wanted = [chain for name, chain in CHAINS.items() if not (work / name).exists()]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda chain: run(chain, work), wanted))


def write_tables(work: Path) -> None:
    """Write the zoo's losses of documents as the two CSV files that a user would have."""
    import bayeslaw as bl

    zoo = bl.load_dataset("zoo", unit="document")
    losses = zoo["nll"].to_pandas().round(4)
    losses.insert(0, "bytes", zoo["bytes"].to_numpy())
    losses.insert(0, "file", zoo["cluster"].to_numpy())
    losses.rename_axis("sample").to_csv(work / "losses.csv")
    models = zoo[["family", "parameters"]].to_dataframe().rename_axis("model")
    models.astype({"parameters": int}).to_csv(work / "models.csv")


def run(chain: list[str], work: Path) -> None:
    """Run commands one after the other and keep what they print."""
    for command in chain:
        LOG.info("preparing: %s", command)
        done = subprocess.run(
            command.split(), cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise ExtensionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
        printed_file(command).write_text(done.stdout)


def printed_file(command: str) -> Path:
    """Return where the output of a command is kept."""
    return Path(os.environ[WORK]) / "printed" / hashlib.sha256(command.encode()).hexdigest()[:16]


class Prepared(SphinxDirective):
    """Show a command that was run at the start of the build, with what it printed."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Return the command as typed and its output."""
        command = " ".join(self.arguments[0].split())
        if command not in [each for chain in CHAINS.values() for each in chain]:
            raise self.error(f"{command!r} is not among the commands that are run before the pages")
        text = f"$ {command}\n{printed_file(command).read_text().rstrip()}"
        return [nodes.literal_block(text, text, language="console")]


def run_there(app: Sphinx, doctree: Any) -> None:
    """Let programs of a page run in that folder."""
    for node in doctree.findall(program_output):
        node["working_directory"] = os.environ[WORK]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect with Sphinx."""
    app.add_directive("prepared", Prepared)
    app.connect("config-inited", set_up_folder, priority=1)
    app.connect("builder-inited", make_files, priority=1)
    # Before the programs run.
    app.connect("doctree-read", run_there, priority=1)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
