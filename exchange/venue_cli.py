"""`exchange operator ...`: switches, rules and auctions of a running exchange, and what takes two persons.

Owns the words of these commands and how answers are shown; the exchange does the work (`exchange/operating`). A token
is read from the terminal or from a file, never from an argument. Exit codes are those of `exchange/operator_cli.py`.
"""

from __future__ import annotations

import getpass
import json
import pathlib
from typing import Annotated, Any

import typer

from exchange.operator_cli import (
    EXIT_USAGE,
    AsJson,
    DataDir,
    answer,
    ask_venue,
    commands,
    fail,
    secret_line,
    show_each,
)
from exchange.progress import progress

operator = commands("The venue itself: switches, rules, auctions, and who may change them.")

Scope = Annotated[str, typer.Argument(help="venue, symbol, account, key or withdrawals.", show_default=False)]
Subject = Annotated[
    str | None, typer.Argument(help="Which symbol (BTC_USDT), account (16) or key (its name).", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
Operator = Annotated[str, typer.Option("--as", help="Name of the operator who does this.", show_default=False)]
TokenFile = Annotated[
    str | None, typer.Option(help="First line is the operator's token; - for standard input. Else it is asked for.")
]


def _where(scope: str, subject: str | None) -> dict[str, Any]:
    """A scope as arguments of an operation."""
    names = {"symbol": "symbol", "account": "account", "key": "api_key"}
    if (scope in names) != (subject is not None):
        fail(EXIT_USAGE, "A symbol, an account or a key must be named, the venue and withdrawals must not.")
    if subject is None:
        return {"scope": scope}
    if scope == "account":
        if not (subject.isascii() and subject.isdigit() and len(subject) < 19):
            fail(EXIT_USAGE, "An account is a number.")
        return {"scope": scope, "account": int(subject)}
    return {"scope": scope, names[scope]: subject}


def _proof(operator_name: str, token_file: str | None) -> dict[str, str]:
    """Who asks, as arguments of an operation; the token comes from the terminal or from a file."""
    given = getpass.getpass("Token: ") if token_file is None else secret_line(token_file, "token")
    return {"operator": operator_name, "token": given.strip()}


@operator.command()
def halt(
    scope: Scope,
    subject: Subject = None,
    mode: Annotated[str, typer.Option(help="halted, or cancel-only.")] = "halted",
    cancel_orders: Annotated[
        bool, typer.Option("--cancel-orders", help="Then cancel every order that rests there.")
    ] = False,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop trading at once. It takes one person; a key is revoked. Works while PostgreSQL is away."""
    where = _where(scope, subject)
    more = {} if scope == "key" else {"mode": mode}
    done = ask_venue(data_dir, "venue.halt", **where, **more, reason=reason)
    if cancel_orders:
        if scope == "key":
            where["account"] = done["account"]  # the key is gone
        done["canceled"] = _cancel(data_dir, where, reason)
    answer(done, as_json)


@operator.command("cancel-orders")
def cancel(
    scope: Scope,
    subject: Subject = None,
    account: Annotated[
        int | None, typer.Option(min=1, help="Whose a key was that is revoked already.", show_default=False)
    ] = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Cancel every order that rests in a scope, in chunks between which others have their turn."""
    where = _where(scope, subject)
    if account is not None:
        where["account"] = account
    answer({**where, "canceled": _cancel(data_dir, where, reason)}, as_json)


def _cancel(data_dir: pathlib.Path | None, where: dict[str, Any], reason: str) -> int:
    canceled, more = 0, True
    with progress("canceling", "orders") as show:
        while more:
            done = ask_venue(data_dir, "orders.cancel", **where, reason=reason)
            canceled, more = canceled + done["canceled"], done["more"]
            show(canceled, canceled + done["left"])
    return canceled


@operator.command()
def resume(
    scope: Scope,
    operator_name: Operator,
    subject: Subject = None,
    mode: Annotated[str, typer.Option(help="cancel-only, or open.")] = "cancel-only",
    reason: Reason = "",
    token_file: TokenFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Propose to let trading go on; another operator approves it. HALTED goes to CANCEL_ONLY before it goes to OPEN."""
    asked = {**_where(scope, subject), "mode": mode, "reason": reason}
    _proposed(ask_venue(data_dir, "venue.resume", **asked, **_proof(operator_name, token_file)), as_json)


@operator.command()
def skip(
    sequence: Annotated[int, typer.Argument(min=1, help="Of the command.", show_default=False)],
    operator_name: Operator,
    code: Annotated[str, typer.Option(help="Why, in 1 to 16 ASCII characters; it stands in the journal.")],
    reason: Reason,
    token_file: TokenFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Propose that a command the engine can not survive is passed over, now and in every replay."""
    asked = {"sequence": sequence, "code": code, "reason": reason}
    _proposed(ask_venue(data_dir, "venue.skip", **asked, **_proof(operator_name, token_file)), as_json)


def _proposed(proposal: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer(proposal, as_json)
        return
    typer.echo(f"Proposed: {proposal['payload']}")
    typer.echo(f"A supervisor approves it: exchange operator approve {proposal['id']} --as NAME")


@operator.command()
def proposals(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List what waits for approval."""
    found = ask_venue(data_dir, "proposal.list")
    show_each(found, as_json, lambda one: f"{one['id']}  {one['expiresInSeconds']:>5} s left  {one['payload']}")


@operator.command()
def approve(
    number: Annotated[str, typer.Argument(help="Of the proposal.", show_default=False)],
    operator_name: Operator,
    token_file: TokenFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; the proposal is shown all the same.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what another operator proposed, and have it done."""
    from exchange.operating.proposals import digest_of

    payloads = [one["payload"] for one in ask_venue(data_dir, "proposal.list") if one["id"] == number]
    payload = payloads[0] if payloads else ""
    if payload:
        typer.echo(json.dumps(json.loads(payload), indent=2), err=True)
        if not yes and not typer.confirm("Have this done?", err=True):
            fail(EXIT_USAGE, "Nothing was done.")
    proof = _proof(operator_name, token_file)
    answer(ask_venue(data_dir, "proposal.approve", id=number, digest=digest_of(payload), **proof), as_json)


@operator.command()
def withdraw(
    number: Annotated[str, typer.Argument(help="Of the proposal.", show_default=False)],
    operator_name: Operator,
    token_file: TokenFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a proposal back."""
    answer(ask_venue(data_dir, "proposal.withdraw", id=number, **_proof(operator_name, token_file)), as_json)


@operator.command()
def rule(
    scope: Scope,
    subject: Annotated[str, typer.Argument(help="Which symbol, account or key.", show_default=False)],
    name: Annotated[str, typer.Argument(help="Such as BREAKER_BIPS; docs/engine-guards.md has them all.")],
    value: Annotated[int, typer.Argument(min=0, help="In the engine's units; 0 switches it off.")],
    asset: Annotated[str | None, typer.Option(help="Of LOCKED_MAX_ATOMS and NOTIONAL_DAY_MAX_ATOMS.")] = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Set a guard of a symbol, an account or a key."""
    more = {} if asset is None else {"asset": asset}
    where = _where(scope, subject)
    answer(ask_venue(data_dir, "venue.rule", **where, rule=name, value=value, reason=reason, **more), as_json)


@operator.command()
def auction(
    symbol: Annotated[str, typer.Argument(help="Such as BTC_USDT.", show_default=False)],
    seconds: Annotated[int, typer.Option(min=0, help="How long it collects; 0: until it is uncrossed.")] = 0,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Collect orders of a symbol without matching them."""
    arguments = {"symbol": symbol, "action": "start", "seconds": seconds, "reason": reason}
    answer(ask_venue(data_dir, "venue.auction", **arguments), as_json)


@operator.command()
def uncross(
    symbol: Annotated[str, typer.Argument(help="Such as BTC_USDT.", show_default=False)],
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End an auction: trade once at one price, then go on continuously."""
    answer(ask_venue(data_dir, "venue.auction", symbol=symbol, action="uncross", reason=reason), as_json)


@operator.command()
def add(
    name: Annotated[str, typer.Argument(help="Of the new operator.", show_default=False)],
    role: Annotated[str, typer.Option(help="operator, or supervisor, who may approve.")] = "operator",
    digest: Annotated[
        str | None, typer.Option(help="Of the newcomer's token, from `exchange operator token`; default a new token.")
    ] = None,
    operator_name: Annotated[
        str | None, typer.Option("--as", help="Who proposes it; not needed for the first two operators.")
    ] = None,
    token_file: TokenFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Enter an operator. From the third on another operator has to approve it."""
    from exchange.operating.staff import digest_of, draw_token

    token = "" if digest else draw_token()
    proof = {} if operator_name is None else _proof(operator_name, token_file)
    done = ask_venue(data_dir, "operator.add", name=name, role=role, digest=digest or digest_of(token), **proof)
    if "payload" in done:
        _proposed(done, as_json)
        return
    answer({**done, "token": token} if token else done, as_json)


@operator.command()
def token(as_json: AsJson = False) -> None:
    """Draw a token for oneself, and its digest to give to whoever proposes one."""
    from exchange.operating.staff import digest_of, draw_token

    drawn = draw_token()
    answer({"token": drawn, "digest": digest_of(drawn)}, as_json)


@operator.command()
def remove(
    name: Annotated[str, typer.Argument(help="Who is an operator no more.", show_default=False)],
    operator_name: Operator,
    token_file: TokenFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove an operator, at once."""
    answer(ask_venue(data_dir, "operator.remove", name=name, **_proof(operator_name, token_file)), as_json)


@operator.command("list")
def list_operators(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the operators."""
    found = ask_venue(data_dir, "operator.list")
    show_each(found, as_json, lambda one: f"{one['name']:<32}  {one['role']}")
