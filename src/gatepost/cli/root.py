"""The `gatepost` command. Each of its commands is imported only when it is called: cron and hooks call them often."""

from __future__ import annotations

from importlib import import_module

import click

from gatepost import __version__

COMMANDS = {
    "setup": ("gatepost.cli.setup:setup", "From nothing to a running gate."),
    "serve": ("gatepost.cli.serve:serve", "Run the gate in the foreground."),
    "check-config": ("gatepost.cli.serve:check_config", "Is a configuration sound? What does it say?"),
    "status": ("gatepost.cli.status:status", "Is it well? Exit status for monitoring."),
    "doctor": ("gatepost.cli.status:doctor", "Why not, and what to do."),
    "explain": ("gatepost.cli.looking:explain", "The whole story of one message in words."),
    "history": ("gatepost.cli.looking:history", "Find messages."),
    "plan": ("gatepost.cli.planning:plan", "Recorded mail re-decided under another configuration."),
    "queue": (
        "gatepost.cli.accounts_held:queue",
        "What waits for delivery: list, show, retry, hold, drop; and accounts whose mail is held.",
    ),
    "quarantine": (
        "gatepost.cli.quarantine:quarantine",
        "What is held: list, show, release, delete, deny, rekey.",
    ),
    "user": (
        "gatepost.cli.usersync:user",
        "People and devices: accounts, roles, app passwords, enrolment links.",
    ),
    "token": ("gatepost.cli.token:token", "What programs call the API with: create, list, revoke."),
    "key": ("gatepost.cli.key:key", "DKIM keys: list, create, check, records, rotate, retire, remove."),
    "cert": ("gatepost.cli.cert:cert", "Certificates: status, renew, TLSA records."),
    "dns": ("gatepost.cli.dns:dns", "The records this installation needs, and whether they are there."),
    "tls-reports": (
        "gatepost.cli.tlsreports:tls_reports",
        "What the TLS of connections to others was like, and what they were told.",
    ),
    "lists": ("gatepost.cli.lists:lists", "Block lists: figures, health, mode; senders allowed and blocked."),
    "learn": ("gatepost.cli.learning:learn", "Teach the classifier: ham, spam, forget."),
    "evaluate": ("gatepost.cli.evaluating:evaluate", "How good is the classifier, on mail you know?"),
    "rules": ("gatepost.cli.rules:rules", "Detection rules: list, show, test, new."),
    "backup": ("gatepost.cli.keeping:backup", "Back up, verify and restore everything kept."),
    "journal": ("gatepost.cli.journal:journal", "Who did what, and why; is it unaltered?"),
    "privacy": (
        "gatepost.cli.privacy:privacy",
        "Requests of data subjects, erasures, legal holds, the record of processing.",
    ),
    "scan": ("gatepost.cli.scan:scan", "Judge messages from files, without a server."),
    "demo": ("gatepost.cli.demo:demo", "The whole product on loopback, with mail to look at."),
    "send": ("gatepost.cli.demo:send", "Send one of the demo's messages."),
}
"""Name, where it is, and what it is for."""


AFAR = ("--remote", "--token-file")
"""Options that may stand anywhere: the command then acts on a gate elsewhere."""


class OnDemand(click.Group):
    """A group whose commands are imported when they are called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Finds --remote and --token-file wherever they stand."""
        kept: list[str] = []
        found: list[str] = []
        given = list(args)
        while given:
            one = given.pop(0)
            name, equals, _ = one.partition("=")
            if one == "--":
                kept += [one, *given]
                break
            if name in AFAR:
                found += [one] if equals or not given else [one, given.pop(0)]
            else:
                kept.append(one)
        return super().parse_args(ctx, [*found, *kept])

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order a postmaster meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None when there is none of that name."""
        if getattr(ctx, "params", {}).get("remote"):
            from gatepost.cli.remote import COMMANDS as FROM_AFAR

            return FROM_AFAR.get(cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A typo gets the nearest right name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from gatepost.config.load import nearest

            ctx.fail(f"There is no command {args[0]}. {nearest(args[0], COMMANDS)}")
        if ctx.params.get("remote") and args and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"{args[0]} works on the machine of the gate only, not with --remote.")
        return super().resolve_command(ctx, args)


@click.group(cls=OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatepost")
@click.option(
    "--remote",
    envvar="GATEPOST_REMOTE",
    metavar="URL",
    help="A gate elsewhere, by its console's URL: for status, history, explain, quarantine and queue.",
)
@click.option(
    "--token-file",
    envvar="GATEPOST_TOKEN_FILE",
    metavar="FILE",
    help="The file with the API token for --remote.",
)
@click.pass_context
def gatepost(ctx: click.Context, remote: str | None, token_file: str | None) -> None:
    """A secure mail gateway whose every verdict explains itself.

    Example: gatepost scan message.eml
    """
    if remote:
        from gatepost.cli.afar import open_remote

        ctx.obj = open_remote(remote, token_file)
