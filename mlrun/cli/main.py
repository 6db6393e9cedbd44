"""The command group: commands are imported when called, errors are one line."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import NoReturn

import click

from mlrun.cli.processes import check_alone, is_led, quiet_torch, start_all, take_part
from mlrun.cli.streams import escape_the_unwritable, fill_gaps, make_lossy
from mlrun.cli.terminal import echo
from mlrun.errors import AskedOfOne, MlrunError, RunFailed, contained, redact
from mlrun.machine.interrupts import Interrupted, heeded
from mlrun.machine.launcher import outlived_by_none
from mlrun.machine.shortages import shortage
from mlrun.version import __version__

COMPLETES = "_MLRUN_COMPLETE"  # set by a shell that asks for completions, after which click exits
COMMANDS = {
    "train": ("mlrun.cli.train", "Train a model and log the run to MLflow."),
    "sweep": ("mlrun.cli.sweep", "Train with many settings, and find the best."),
    "resume": ("mlrun.cli.resume", "Go on with a run that ended too early, or for longer."),
    "evaluate": ("mlrun.cli.evaluate", "Evaluate a run's best weights on changed or other data."),
    "predict": ("mlrun.cli.predict", "Classify image files with a run's best weights."),
    "runs": ("mlrun.cli.runs", "List the last runs: what differs, and the main figures."),
    "report": ("mlrun.cli.report", "Make the page of a run again."),
    "compare": ("mlrun.cli.compare", "Compare several runs in one page."),
    "reproduce": ("mlrun.cli.reproduce", "Run a finished run again, and compare the two."),
    "register": ("mlrun.cli.register", "Register a run's servable model under a name."),
    "sync": ("mlrun.cli.sync", "Send what runs could not send to the tracking store."),
    "doctor": ("mlrun.cli.doctor", "Find what killed runs left, and mend it."),
    "plugins": ("mlrun.cli.plugins", "List models, data sets and visualisers, or describe one."),
    "recipes": ("mlrun.cli.recipes", "List the recipes, or show one."),
    "ui": ("mlrun.cli.ui", "Open MLflow's UI on the store in use."),
}

ENDED = {"SIGTERM": "terminated", "SIGHUP": "hung up"}  # as it is called, else `interrupted`
KNOWN = ("TrainingFailed", "RecordFailed", "Shortage")  # what their messages say needs no traceback


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists them without."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name, imported, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Calls the command; that who reads stdout stopped early is told by exit code 1 alone."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end the process
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left there
            ctx.exit(1)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that `args` call; suggests the nearest for one there is not."""
        wrong = args and args[0] not in COMMANDS and not args[0].startswith("-")
        if wrong and not ctx.resilient_parsing:  # which it is when a shell asks for completions
            from mlrun.errors import unknown

            raise click.UsageError(str(unknown("command", args[0], COMMANDS)))
        if not ctx.resilient_parsing:
            check_no_blank(args)
            if args and args[0] in COMMANDS:
                check_alone(args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlrun")
def cli() -> None:
    """Train image classifiers and look inside them.

    Models, data sets and visualisers are plugins; runs are logged to MLflow.
    """
    from mlrun.record.folders import working_directory

    working_directory()


def check_no_blank(args: Sequence[str]) -> None:
    """Raises UsageError where an argument is an empty text, such as a variable that is not set."""
    for before, arg in zip(["", *args], args, strict=False):
        option, equals, value = arg.partition("=")
        if not arg.strip():
            option = before
        elif not (option.startswith("-") and equals and not value.strip()):
            continue
        what = option if option.startswith("-") else f"an argument of {args[0]}"
        raise click.UsageError(f"{what} is an empty text; give a value, or leave it out")


def main(args: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits.

    Exit codes: 0 done, 1 the run failed, 2 usage; 128 and the number of the signal that ended it:
    129 hung up, 130 interrupted, 143 terminated.
    """
    fill_gaps()
    escape_the_unwritable()
    make_lossy("stderr")
    with heeded():
        sys.exit(exit_code(args))


def exit_code(args: list[str] | None) -> int:
    """Runs the command line; returns the exit code, or exits with an error on one line."""
    try:
        with outlived_by_none(), nullcontext() if COMPLETES in os.environ else contained():
            code = called(sys.argv[1:] if args is None else args)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "mlrun"
        refuse(f"{where}: {error.format_message()}")
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code)
    except RunFailed as error:
        show_cause(error)
        fail(str(error), 1)
    except MlrunError as error:
        show_cause(error)
        refuse(str(error))
    except (KeyboardInterrupt, click.Abort) as error:  # click turns the first into the second
        give_up(error.__cause__ if isinstance(error, click.Abort) else error)
    except Exception as error:
        if short := shortage(error):
            fail(str(short), 1)
        raise
    return code if isinstance(code, int) else 0


def called(args: Sequence[str]) -> object:
    """Runs the command line, in several processes where it asks for them; returns what it does."""
    quiet_torch()
    run = partial(cli.main, list(args), prog_name="mlrun", standalone_mode=False)
    if COMPLETES in os.environ:
        return run()
    if is_led():
        return take_part(run, args[0] if args else "")
    try:
        return run()
    except AskedOfOne as asked:
        return start_all(asked, args)


def give_up(error: BaseException | None) -> NoReturn:
    """Exits as a signal asks for; ends the run that `mlflow run` opened, if there is one."""
    number = error.signal if isinstance(error, Interrupted) else signal.SIGINT
    code = 128 + number
    if is_led():
        sys.exit(code)
    if os.environ.get("MLFLOW_RUN_ID"):
        from mlrun.record.opening import end_waiting_run

        end_waiting_run("KILLED", str(error))
    fail(ENDED.get(number.name, "interrupted"), code)


def fail(message: str, code: int) -> NoReturn:
    """Prints one line to stderr and exits with `code`."""
    echo(f"Error: {' '.join(redact(message).split())}", err=True)
    sys.exit(code)


def refuse(message: str) -> NoReturn:
    """Fails with exit code 2; ends the run that `mlflow run` opened, if there is one."""
    if os.environ.get("MLFLOW_RUN_ID"):
        from mlrun.record.opening import end_waiting_run

        end_waiting_run("FAILED", message)
    fail(message, 2)


def show_cause(error: MlrunError) -> None:
    """Prints the traceback of a bug, mostly a plugin's; bad input has none to show."""
    import traceback

    cause = error.__cause__
    while isinstance(cause, MlrunError):  # it was named on its way up
        cause = cause.__cause__
    bugs = (TypeError, AttributeError, LookupError, NameError, ImportError, AssertionError)
    failed = isinstance(error, RunFailed) and type(cause).__name__ not in KNOWN
    if cause is not None and shortage(cause):
        return
    if cause is not None and (failed or isinstance(cause, (*bugs, SyntaxError))):
        echo(redact("".join(traceback.format_exception(cause))), err=True, nl=False)
