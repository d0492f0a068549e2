"""The command `apportion`: a table of commands, each loaded when it is used."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import click

from apportion import __version__
from apportion.errors import ApportionError

FAILED, INTERRUPTED = 1, 130
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})  # what click takes for a flag in the environment

GROUPS: dict[str, dict[str, str]] = {
    "Get started": {
        "init": "Create a project folder with a commented configuration.",
        "demo": "Allocate a year of an example company and a real sample bill.",
        "preset": "Print pools and rules to start from.",
        "doctor": "Check configuration, sources and what is up to date.",
    },
    "Monthly run": {
        "ingest": "Bring in bills; a restated month replaces the old one.",
        "run": "Allocate every charge to its owners, to the last digit.",
        "record": "Write down usage that no meter counts.",
        "verify": "Count the result again on another path and certify it.",
    },
    "Read": {
        "report": "Show cost by team, model, project, service and more.",
        "explain": "Trace an amount to its rules and billing rows, or a charge to its owners.",
        "sensitivity": "Show what other weights of GPU, core and memory would change.",
        "whatif": "Show who would pay more, who less, under proposed rules.",
        "problems": "List what was wrong in the bills, with file and row.",
        "tags": "Show tag coverage, what to tag first, spellings; check plans.",
        "export": "Write the result as a FOCUS dataset.",
    },
}
"""Group -> command -> its one line of help, kept here so that `--help` loads no command."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every command: the project folder, whether to print results only, whether to show tracebacks."""

    project: Path
    quiet: bool
    debug: bool


class LazyGroup(click.Group):
    """Commands are modules of `cli.commands`, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All command names in the order of `GROUPS`."""
        return [name for commands in GROUPS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"apportion.cli.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; an unknown one fails with the nearest known."""
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            near = get_close_matches(name, self.list_commands(ctx), n=1)
            guess = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{name}'.{guess}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by group, from the table."""
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "APPORTION",
        "max_content_width": 110,
    },
    epilog="Every option can also be set in the environment: --project as APPORTION_PROJECT, "
    "report --by as APPORTION_REPORT_BY. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a check failed, "
    "130 interrupted.",
)
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default=".",
    help="Project folder, where apportion.toml is.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print results only.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, message="apportion %(version)s")
@click.pass_context
def cli(ctx: click.Context, project: Path, *, quiet: bool, debug: bool) -> None:
    """Attribute ML infrastructure cost to models, teams and business units."""
    ctx.obj = Settings(project, quiet, debug)


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(_outcome(sys.argv[1:]))


def _outcome(arguments: list[str]) -> int:  # noqa: PLR0911 - one per way to end
    debug = "--debug" in arguments or os.environ.get("APPORTION_DEBUG", "").lower() in _TRUE
    try:
        code = cli.main(arguments, prog_name="apportion", standalone_mode=False)
        sys.stdout.flush()
    except ApportionError as error:
        return _said(f"Error: {error.what}\n{error.fix}", debug=debug, code=error.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _said("Interrupted.", debug=debug, code=INTERRUPTED)
    except BrokenPipeError:
        # The reader of our pipe has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        said = f"Error: {where}{error.strerror or error}\nCheck the path and its permissions."
        return _said(said, debug=debug, code=FAILED)
    except Exception as error:  # noqa: BLE001 - the last door: nobody should meet a traceback unasked
        said = f"Error: {type(error).__name__}: {error}\nThis is a defect; run again with --debug and report it."
        return _said(said, debug=debug, code=FAILED)
    return code if isinstance(code, int) else 0


def _said(message: str, *, debug: bool, code: int) -> int:
    if debug:
        traceback.print_exc()
    click.echo(message, err=True)
    return code
