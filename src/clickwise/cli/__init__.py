"""The command line: one file per verb. `clickwise VERB --help` shows the flags of each."""

from __future__ import annotations

import sys

import typer

from clickwise._version import __version__
from clickwise.cli.demo import demo
from clickwise.cli.evaluate import evaluate
from clickwise.cli.export import export
from clickwise.cli.features import features
from clickwise.cli.index import index
from clickwise.cli.inspect import inspect
from clickwise.cli.loadtest import loadtest
from clickwise.cli.predict import predict
from clickwise.cli.publish import publish
from clickwise.cli.recommend import recommend
from clickwise.cli.rollback import rollback
from clickwise.cli.serve import serve
from clickwise.cli.simulate import simulate
from clickwise.cli.skew import skew
from clickwise.cli.suggest_crosses import suggest_crosses
from clickwise.cli.train import train
from clickwise.cli.tune import tune
from clickwise.cli.update_items import update_items
from clickwise.errors import ClickwiseError

app = typer.Typer(
    name="clickwise",
    help="Click-through-rate prediction: raw logs in, a trained, measured, saved model out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_VERBS = (
    demo,
    simulate,
    train,
    tune,
    evaluate,
    predict,
    export,
    inspect,
    suggest_crosses,
    index,
    update_items,
    recommend,
    serve,
    publish,
    rollback,
    loadtest,
    skew,
)
for _verb in _VERBS:
    app.command()(_verb)
app.add_typer(features, name="features")


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"clickwise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Click-through-rate prediction: raw logs in, a trained, measured, saved model out."""


def main() -> None:
    """Run the command line. A mistake of the user is one line on stderr and exit code 2; Ctrl-C is exit code 130."""
    try:
        app()
    except ClickwiseError as error:
        print(f"clickwise: error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        print("clickwise: stopped", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
