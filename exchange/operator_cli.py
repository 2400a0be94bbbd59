"""`exchange user ...` and `exchange key ...`: what an operator asks of a running exchange.

Owns the words of these commands and how answers are shown; the exchange does the work (`exchange/control.py`). A
password is read from the terminal or from a file, never from an argument, which everybody on the machine can see.

Exit codes: 0 done, 1 refused by the exchange, 2 a wrong option, 69 no exchange runs on the data directory.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

EXIT_REFUSED, EXIT_USAGE, EXIT_NOT_RUNNING = 1, 2, 69
_EXIT_CODES = (
    "Exit codes: 0 done, 1 refused by the exchange, 2 a wrong option, 69 no exchange runs on the data directory."
)
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hd])", re.ASCII)
_SPAN_US = {"h": 3_600_000_000, "d": 86_400_000_000}


def commands(about: str) -> typer.Typer:
    """A group of an operator's commands."""
    return typer.Typer(help=about, no_args_is_help=True, epilog=_EXIT_CODES, rich_markup_mode=None)


user = commands("People of a running exchange.")
key = commands("API keys of a running exchange.")

DataDir = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Data directory of the running exchange: default EXCHANGE_DATA_DIR or ./var.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Who = Annotated[str, typer.Argument(help="Email, or user id.", show_default=False)]


def fail(code: int, sentence: str) -> NoReturn:
    """End the program with a sentence."""
    typer.echo(f"exchange: {sentence}", err=True)
    raise typer.Exit(code)


def ask_venue(data_dir: pathlib.Path | None, operation: str, **arguments: Any) -> Any:
    """The result of an operation; ends the program with a sentence when there is none."""
    from exchange.control import NotRunning, OperationRefused, ask

    directory = data_dir or pathlib.Path(os.environ.get("EXCHANGE_DATA_DIR") or "var")
    try:
        return ask(directory, operation, arguments)
    except NotRunning as error:
        fail(EXIT_NOT_RUNNING, str(error))
    except OperationRefused as error:
        fail(EXIT_REFUSED, error.sentence)


def _who(text: str) -> str | int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) else text


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)


def answer(result: dict[str, Any], as_json: bool) -> None:
    """One answer: a line a field."""
    if as_json:
        typer.echo(json.dumps(result))
        return
    for name, value in result.items():
        shown = _day(value) if name in ("createdAt", "expiresAt", "tradeUntil") else _shown(value)
        typer.echo(f"{name:<12} {shown}")


def _day(moment_ms: int | None) -> str:
    if moment_ms is None:
        return "never"
    return dt.datetime.fromtimestamp(moment_ms / 1000, dt.UTC).isoformat(timespec="seconds")


def show_each(found: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """Several answers: a line each."""
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        typer.echo(line(one))


def secret_line(file: str, what: str) -> str:
    """The first line of a file, of standard input for `-`. Ends the program with a sentence about `what`."""
    try:
        if file == "-":
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        return pathlib.Path(file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError):
        fail(EXIT_USAGE, f"The {what} file {file} can not be read.")


def _password(file: str | None) -> str:
    """From the terminal, twice, or from a file."""
    if file is not None:
        return secret_line(file, "password")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        fail(EXIT_USAGE, "The two passwords differ.")
    return password


@user.command(epilog=_EXIT_CODES)
def create(
    email: Annotated[str, typer.Argument(help="What they will log in with.", show_default=False)],
    password_file: Annotated[
        str | None, typer.Option(help="First line is the password; - for standard input. Else it is asked for.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Register somebody and open their account."""
    answer(ask_venue(data_dir, "user.create", email=email, password=_password(password_file)), as_json)


@user.command(epilog=_EXIT_CODES)
def disable(who: Who, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """No login, no session and no API key from now on. Resting orders stay."""
    answer(ask_venue(data_dir, "user.disable", who=_who(who)), as_json)


@user.command("reset-2fa", epilog=_EXIT_CODES)
def reset_2fa(who: Who, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Turn the second factor of somebody off who has lost it."""
    answer(ask_venue(data_dir, "user.reset-2fa", who=_who(who)), as_json)


@user.command(epilog=_EXIT_CODES)
def kyc(
    who: Who,
    level: Annotated[int, typer.Option(min=0, max=9, help="What they may do from now on.", show_default=False)],
    status: Annotated[str, typer.Option(help="none, pending, approved or rejected.")] = "approved",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Decide about somebody's identity by hand."""
    answer(ask_venue(data_dir, "user.kyc", who=_who(who), level=level, status=status), as_json)


@key.command("create", epilog=_EXIT_CODES)
def create_key(
    account: Annotated[int, typer.Argument(min=1, help="Whose key it will be.", show_default=False)],
    permission: Annotated[list[str] | None, typer.Option(help="read, trade, withdraw; default read.")] = None,
    address: Annotated[
        list[str] | None, typer.Option(help="Address or network that it may be used from; default anywhere.")
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option(help="Symbol that its new orders may be on, as BTC_USDT; default every one.")
    ] = None,
    notional: Annotated[
        str | None, typer.Option(help="What its orders may amount to in a day, such as 100000; with an asset.")
    ] = None,
    notional_asset: Annotated[str | None, typer.Option(help="Asset of the notional, such as USDT.")] = None,
    label: Annotated[str, typer.Option(help="For people.")] = "",
    expires: Annotated[str | None, typer.Option(help="Life of the key, such as 12h or 90d; default for ever.")] = None,
    public_key: Annotated[
        pathlib.Path | None, typer.Option(help="File with an Ed25519 public key as PEM; default HMAC with a secret.")
    ] = None,
    signature: Annotated[
        str, typer.Option(help="What its signatures cover: plain (the parameters) or strict (the whole request).")
    ] = "plain",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. Its secret is shown this once."""
    arguments: dict[str, Any] = {
        "account": account,
        "permissions": permission or [],
        "addresses": address or [],
        "symbols": symbol or [],
        "notional": notional or "",
        "notional_asset": notional_asset or "",
        "label": label,
        "signature": signature,
    }
    if expires is not None:
        match = _SPAN.fullmatch(expires)
        if match is None:
            fail(EXIT_USAGE, "--expires must be hours or days, such as 12h or 90d.")
        arguments["expires_us"] = time.time_ns() // 1000 + int(match[1]) * _SPAN_US[match[2]]
    if public_key is not None:
        try:
            arguments["public_key"] = public_key.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            fail(EXIT_USAGE, f"The public key {public_key} can not be read.")
    answer(ask_venue(data_dir, "key.create", **arguments), as_json)


@key.command(epilog=_EXIT_CODES)
def revoke(
    api_key: Annotated[str, typer.Argument(help="Name of the key.", show_default=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key at once, also while PostgreSQL is away."""
    answer(ask_venue(data_dir, "key.revoke", api_key=api_key), as_json)


@key.command("list", epilog=_EXIT_CODES)
def list_keys(
    account: Annotated[int | None, typer.Option(min=1, help="Only this account's; default everybody's.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List API keys; never a secret."""
    found = ask_venue(data_dir, "key.list", **({} if account is None else {"account": account}))
    show_each(found, as_json, _key_line)


def _key_line(one: dict[str, Any]) -> str:
    permissions = ",".join(one["permissions"])
    signs = f"{one['type']:<7}  {one['signature']:<6}"
    return f"{one['apiKey']}  {one['account']:>8}  {signs}  {permissions:<19}  {_shown(one['label'])}"
