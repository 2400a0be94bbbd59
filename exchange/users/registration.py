"""Registration: a person, and the engine account that goes with them.

Owns account ids and the promise that a row and its account never stay without each other: the row is `pending` until
the engine has opened the account, and whenever PostgreSQL has come up `settle` opens what is missing and gives
accounts that nobody has an `orphaned` row. An id is one more than any that engine or PostgreSQL ever knew, so none is
given twice.

The answer to a registration never tells whether the email is registered: it is the same, after the same hash and the
same statement. Without a confirmed mailbox there is no better place for the difference than the mailbox itself, so
its owner gets a letter when somebody registers it again; the password of that attempt counts for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable

import numpy as np

from exchange.core import readers
from exchange.core.codes import Account, CommandKind, EventKind, Limit, RejectCode
from exchange.core.event_records import event_dict
from exchange.core.records import RECORD_BYTES, fill_command, slots
from exchange.core.state import State
from exchange.disruptor.errors import PipelineError
from exchange.disruptor.pipeline import Pipeline
from exchange.persistence.database import Database
from exchange.persistence.sqlstate import explain
from exchange.users.errors import Busy, Conflict
from exchange.users.passwords import Passwords, check_acceptable
from exchange.users.store import normalized_email

log = logging.getLogger("exchange.users")
OPEN_S = 10.0
"""How long the engine may take to open an account before the person is told to come back."""
_INSERT = """
insert into exchange_user.users (account, email, password_hash, status)
select greatest($1, (select coalesce(max(account), 0) from exchange_user.users)) + 1, $2, $3, 'pending'
on conflict (email) do update set email = excluded.email
returning user_id, account, xmax = 0 as is_new
"""
"""The conflict writes the row as it is: it takes as long as a new one."""


def _limit(state: State) -> int:
    """The highest account id that the engine opens."""
    return int(state.limits[Limit.ACCOUNTS])


def _reject(events: bytes) -> RejectCode:
    """Why a command was refused, NONE when it was not."""
    event = event_dict(np.frombuffer(events, np.uint8)[:RECORD_BYTES])
    return RejectCode(event["reject"]) if event["kind"] == EventKind.REJECTED else RejectCode.NONE


class Registration:
    """Makes people; `settle` whenever PostgreSQL has come up, before anybody can register."""

    def __init__(self, database: Database, pipeline: Pipeline, passwords: Passwords) -> None:
        self._database = database
        self._pipeline = pipeline
        self._passwords = passwords
        self._one_at_a_time = asyncio.Lock()
        self._opened: list[Callable[[int], Awaitable[None]]] = []
        self._nobodys: frozenset[int] = frozenset()
        self._highest = 0
        """The highest account id that was given; 0: not known yet."""

    def on_opened(self, callback: Callable[[int], Awaitable[None]]) -> None:
        """Await `callback(account)` after an account was opened and before its row is active; it may come twice."""
        self._opened.append(callback)

    def leave_to_nobody(self, accounts: Iterable[int]) -> None:
        """These accounts have no person on purpose."""
        self._nobodys = frozenset(accounts)

    async def register(self, email: str, password: str) -> tuple[int, bool]:
        """The account of an email, which is to be opened by `open_account`, and whether the row is new.

        Raises NotAcceptable, Busy, Conflict, Unavailable.
        """
        email = normalized_email(email)
        check_acceptable(password, email)
        encoded = await self._passwords.hash(password)
        async with self._one_at_a_time, self._database.connection() as connection:
            if not self._highest:
                raise Busy("The list of accounts is being read; try again in a moment.")
            if self._highest >= self._pipeline.read(_limit)[0]:
                raise Conflict("The venue takes no more accounts.")
            _, account, is_new = await connection.fetchrow(_INSERT, self._highest, email, encoded)
            if is_new:
                self._highest = account
        return account, is_new

    async def open_account(self, account: int) -> None:
        """Open the account of a pending row and make the row active; doing it twice changes nothing.

        Raises Busy when the engine takes no command now, Conflict when it refuses, Unavailable: then it is pending.
        """
        reject = await self._submit(account)
        if reject not in (RejectCode.NONE, RejectCode.ALREADY_EXISTS):
            log.error("account %d can not be opened: %s", account, reject.name)
            raise Conflict("The account can not be opened; the operator has to see to it.")
        try:
            for callback in self._opened:
                await callback(account)
        except PipelineError as error:
            log.warning("account %d is open and not ready yet: %s", account, explain(error))
            raise Busy("The account is being opened; try again in a moment.") from None
        async with self._database.connection() as connection:
            await connection.execute(
                "update exchange_user.users set status = 'active' where account = $1 and status = 'pending'", account
            )

    async def settle(self) -> None:
        """Open every account whose row is pending or that the engine lost; give accounts without a row one.

        Raises Busy, Unavailable: then there is more to do, and this is to be called again.
        """
        known = self._pipeline.read(readers.accounts)[0]
        async with self._one_at_a_time, self._database.connection() as connection:
            orphans = await connection.fetch(
                "insert into exchange_user.users (account, status) "
                "select account, 'orphaned' from unnest($1::int[]) as engine (account) "
                "on conflict (account) do nothing returning account",
                known,
            )
            missing = await connection.fetch(
                "select account from exchange_user.users "
                "left join unnest($1::int[]) as engine (account) using (account) "
                "where status = 'pending' or engine.account is null order by account",
                known,
            )
            highest = await connection.fetchval("select max(account) from exchange_user.users")
            self._highest = max(self._highest, highest or 0, Account.FIRST_USER - 1, *known)
        if lost := [account for (account,) in orphans if account not in self._nobodys]:
            log.warning("accounts without a person were noted as orphaned: %s", ", ".join(map(str, lost)))
        for (account,) in missing:
            with contextlib.suppress(Conflict):  # the others do not wait for one that the engine refuses
                await self.open_account(account)

    async def _submit(self, account: int) -> RejectCode:
        """OPEN_ACCOUNT through the log; what the engine said. Raises Busy."""
        slot = slots(1)
        fill_command(slot[0], CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)
        try:
            future = self._pipeline.submit([slot.tobytes()])[0]
            async with asyncio.timeout(OPEN_S):
                events = await asyncio.shield(future)
        except (PipelineError, TimeoutError) as error:
            log.warning("whether account %d is open is not known yet: %s", account, explain(error))
            raise Busy("The account is being opened; try again in a moment.") from None
        return _reject(events)
