"""The command line: every command is a few lines over the Python functions of the same names."""

import os
import sys
from typing import Annotated

import typer

from bayeslaw.commands.advantage import advantage
from bayeslaw.commands.attainability import attainability
from bayeslaw.commands.calibrate import calibrate
from bayeslaw.commands.check import check
from bayeslaw.commands.choose import choose
from bayeslaw.commands.common import Group, add
from bayeslaw.commands.compare import compare
from bayeslaw.commands.demo import demo
from bayeslaw.commands.families import families
from bayeslaw.commands.fit import fit
from bayeslaw.commands.import_ import import_completions, import_harness
from bayeslaw.commands.losses import losses
from bayeslaw.commands.next import next_
from bayeslaw.commands.plot import plot
from bayeslaw.commands.pools import pools
from bayeslaw.commands.predict import predict
from bayeslaw.commands.report import report
from bayeslaw.commands.score import score
from bayeslaw.commands.standard_output import with_standard_output
from bayeslaw.commands.summary import summary
from bayeslaw.commands.when import when

FATAL_ALONE = "3"

app = typer.Typer(
    name="bayeslaw",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Example: bayeslaw losses losses.csv --models models.csv --unit word --cluster docid",
)
add(app, score, example="bayeslaw score EleutherAI/pythia-160m ./my-llama --texts corpus.jsonl --out losses")
add(app, families, example="bayeslaw families --all")
add(
    app,
    import_harness,
    name="import-harness",
    example="bayeslaw import-harness results --tasks wikitext --out losses",
)
add(
    app,
    import_completions,
    name="import-completions",
    example="bayeslaw import-completions --url http://localhost:8000/v1 --model Qwen/Qwen3-0.6B --texts texts.jsonl "
    "--models models.csv --out losses",
)
add(app, losses, example="bayeslaw losses losses.csv --models models.csv --unit word --cluster docid,sentid")
add(app, pools, example="bayeslaw pools losses.csv --models models.csv --unit word --max-size 3 --out pools")
add(app, advantage, example="bayeslaw advantage zoo --unit document")
add(app, attainability, example="bayeslaw attainability zoo --unit line --members zoo-gpt2-1.5m,zoo-llama-1.5m")
add(app, choose, example="bayeslaw choose zoo --unit document --max-parameters 3M --max-size 3")
add(app, fit, example="bayeslaw fit pools --law collaboration --out f.nc")
add(app, summary, example="bayeslaw summary f.nc")
add(app, check, example="bayeslaw check f.nc")
add(app, predict, example="bayeslaw predict f.nc --parameters 7e9 --regime heterogeneous --interval 0.9")
add(app, when, example="bayeslaw when f.nc --budgets 1M,10M")
add(app, next_, name="next", example="bayeslaw next f.nc --candidates candidates.csv --max-parameters 20B")
add(app, plot, example="bayeslaw plot f.nc --out f.png")
add(app, report, example="bayeslaw report f.nc --out page.html")
add(app, compare, example="bayeslaw compare power.nc separate.nc --leave-out model")
add(app, calibrate, example="bayeslaw calibrate --law power --simulations 200 --out calibration")
add(app, demo, example="bayeslaw demo --out demo")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"bayeslaw {version('bayeslaw')}")
        raise typer.Exit


@app.callback()
def bayeslaw(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No notes and no progress; may also stand after the command.")
    ] = False,
) -> None:
    """Say when a pool of language models is better than one bigger model, and how sure we can be."""
    ctx.obj = {"quiet": quiet}


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 a failed check, 2 bad input or usage.
    """
    # JAX reads it when it is first imported. What the compiler logs, such as alarms that it is slow, is for those who
    # work on it; what goes wrong is an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", FATAL_ALONE)
    sys.exit(with_standard_output(app))


if __name__ == "__main__":
    main()
