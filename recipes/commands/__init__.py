"""The command line, `crossband NAME`. In: arguments. Out: data on stdout, talk on stderr, an exit code.

There is one module for each command, imported when the command is used. Exit codes: 0; 1 where the input is wrong, or
the result cannot be printed; 2 where the usage is; 130 after Ctrl-C, 129 after SIGHUP and 143 after SIGTERM; 141 where
nothing reads the result any more. A command whose result is files does not mind who reads what it prints. To add a
command, write a click command `NAME` in `recipes/commands/NAME.py` and a line in `COMMANDS`; every command takes
`--plugin` by itself.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from crossband import __version__, registry
from crossband.recipes.basics.edge import explained
from crossband.recipes.basics.processes import is_first
from crossband.recipes.basics.terminal import open_closed, talk, talking
from crossband.recipes.commands.output import report, say
from crossband.recipes.commands.signals import heed
from crossband.registry import suggest

COMMANDS: Mapping[str, str] = {
    "ls": "List everything that a graph or recipe can name",
    "show": "Show a graph, a recipe or anything else that has a name",
    "check": "Check graphs, recipes and tables, and report every error",
    "train": "Train the networks of a recipe",
    "evaluate": "Measure trained weights on images with known answers",
    "table": "Train the rows of a table, and print them beside the paper's",
    "curves": "Draw losses and metrics of several runs in one plot",
    "translate": "Translate images with trained weights",
    "inspect": "Show what happens inside of a network: attention, gates, features",
    "data": "Check images before training, and align their bands",
    "new": "Write the smallest block or plugin of one's own, to start from",
    "schema": "Print the JSON Schema of graph, recipe or table files, for editors",
    "cite": "Print BibTeX for all that a graph or recipe builds on",
}
# A thread of torch (OpenMP) that waits for another one spins only briefly, then sleeps: where other programs keep the
# cores busy, what spins takes them from the very thread that it waits for. To sleep at once (`OMP_WAIT_POLICY=PASSIVE`)
# made steps of the demo twice as slow on idle cores. Read once, when torch is first imported.
WAITING = ("GOMP_SPINCOUNT", "10000")
PIPE_CLOSED, INTERRUPTED = 141, 130  # what a shell reports for SIGPIPE and SIGINT
IN_FILES = ("train", "table", "translate", "new")  # commands whose result is files


class Commands(click.Group):
    """A group that imports a command when it is used and turns errors meant for the user into text."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command of a command, which takes `--plugin` like the group."""
        if cmd_name not in COMMANDS:
            hint = suggest(cmd_name, COMMANDS)
            ctx.fail(f"no command named `{cmd_name}`" + (f"\nhint: {hint}" if hint else ""))
        self._asked = cmd_name
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        if not any(parameter.name == "plugin" for parameter in command.params):
            command.params.append(_plugin_option())
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands for `--help`, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, args: Sequence[str] | None = None, *_: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """As click's, with the exit codes of this module."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        self._asked = ""
        with talking() as out:
            code = self._run(args, extra)
            out.flush()
            if out.lost and self._asked not in IN_FILES:
                if isinstance(out.lost, BrokenPipeError):
                    code = code or PIPE_CLOSED
                else:
                    code = code or 1
                    say(f"stdout: the result cannot be printed: {getattr(out.lost, 'strerror', out.lost)}")
        sys.exit(code)

    def _run(self, args: Sequence[str] | None, extra: Mapping[str, Any]) -> int:
        """The exit code of a command line, what is wrong with it told."""
        try:
            code = super().main(args, standalone_mode=False, **extra)
            return code if isinstance(code, int) else 0
        except click.ClickException as error:
            if isinstance(error, click.UsageError) and (hint := _usage_hint(error, args or sys.argv[1:])):
                error = click.UsageError(f"{error.format_message()}\nhint: {hint}", error.ctx)
            if is_first():  # of processes that all meet the same mistake
                error.show()
            return error.exit_code
        except click.Abort:
            return INTERRUPTED
        except (Exception, SystemExit) as error:
            told = explained(error)
            if told is None and isinstance(error, Exception):
                say("this is a fault of crossband and not yours: please report it with the lines below")
            if told is None:
                raise
            if is_first() or told.of_one_process:
                report(told)
            return 1


def _usage_hint(error: click.UsageError, words: Sequence[str]) -> str | None:
    """How to write what click does not understand, where a key of a recipe was meant."""
    words = list(words)
    if isinstance(error, click.NoSuchOption) and "--set" in str(error.ctx and error.ctx.get_help()):
        from crossband.recipes.commands.listing import known

        key = error.option_name.lstrip("-").replace("-", "_")
        if key in known("formats")["recipe"].parameters:
            given = words[words.index(error.option_name) + 1 :][:1] if error.option_name in words else []
            return f"it is a key of the recipe: `--set {key}={''.join(given) or '...'}`"
    settings = [words[at + 1 : at + 3] for at, word in enumerate(words) if word == "--set"]
    if "unexpected extra argument" in error.message and (split := [each for each in settings if "=" not in each[:1]]):
        return f"no blank stands in a setting: `--set {'='.join(split[0])}`"
    return None


def _load(_: click.Context, __: click.Parameter, files: tuple[str, ...]) -> None:
    for file in files:
        registry.load_plugin(file)


def _plugin_option() -> click.Option:
    return click.Option(
        ["--plugin"],
        multiple=True,
        metavar="FILE",
        expose_value=False,
        callback=_load,
        help="Run a Python file that registers blocks, losses, metrics or others (repeatable)",
    )


@click.command(cls=Commands, params=[_plugin_option()], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def cli() -> None:
    """Translate images between visible and infrared.

    Networks (graphs) and experiments (recipes) are YAML files: a shipped one is called by its name, one of your own
    by its path.
    """


def main() -> None:
    """Run the command line; the entry point of `crossband`."""
    os.environ.setdefault(*WAITING)
    open_closed()
    heed()
    sys.stdout, sys.stderr = talk(sys.stdout), talk(sys.stderr)  # type: ignore[assignment]  # also of tracebacks
    cli(prog_name="crossband")
