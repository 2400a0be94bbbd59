"""Every API key that counts, in memory; kept in the local log and written through to PostgreSQL.

Owns which keys there are. A key is made in PostgreSQL first, then in the local log and here; it is revoked here first,
at once, then in the local log, then in PostgreSQL as soon as that is there. Never waits for PostgreSQL to find a key or
to revoke one.

    find(api_key) ──► dict                     at database-up, and while something is not written yet (`step`):
    revoke(api_key) ──► dict, local log ──►    settle: revoked in either is revoked; what either lost is written again

Invariants: a revoked key never counts again, whichever of the two forgot about it; a demo key counts in demo mode only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from exchange.persistence.database import Database, Unavailable
from exchange.persistence.sqlstate import explain
from exchange.users import key_records
from exchange.users.errors import UserError
from exchange.users.keys import (
    DEMO_PREFIX,
    NEVER_US,
    Key,
    KeyKind,
    KeyRefused,
    KeysUnusable,
    Network,
    Permission,
    Scheme,
    check_new,
    draw_name,
    draw_secret,
    number_of,
)
from exchange.users.local_log import LocalLog, Record
from exchange.users.sealing import SealBroken, Sealer

log = logging.getLogger("exchange.users")
KEYS_PER_ACCOUNT_MAX = 30
RETRY_S = 5.0
DRAWS_MAX = 1_000
"""How often a name is drawn until its number is new: enough while one number in a hundred is free."""


class Unrecorded(UserError):
    """No disk took note of what was done to a key; the sentence says whether it counts. The log names the file."""


class Created(NamedTuple):
    """A new key, and its secret as its owner sees it, once ("" for an ED25519 key)."""

    key: Key
    secret: str


def now_us() -> int:
    """Microseconds since the epoch, by the wall clock."""
    return time.time_ns() // 1000


class KeyRing:
    """The keys of one process: `find`, `create`, `revoke`, `of`; `step` once a second; `stop`.

    `database` None: keys are in the local log only. Raises KeysUnusable.
    """

    def __init__(
        self, local: LocalLog, sealer: Sealer, database: Database | None, *, demo: bool, unrestricted_key_ttl_s: float
    ) -> None:
        self.left_out = 0
        """Demo keys that do not count because this is no demo."""
        self._log = local
        self._sealer = sealer
        self._database = database
        self._demo = demo
        self._unrestricted_us = int(unrestricted_key_ttl_s * 1e6)
        self._keys: dict[str, Key] = {}
        self._accounts: dict[int, dict[str, Key]] = {}
        self._records: dict[str, Record] = {}
        self._revoked: dict[str, int] = {}
        self._numbers: set[int] = set()
        """Of every key that is or was."""
        self._unwritten: set[str] = set()
        self._unrevoked: set[str] = set()
        """What PostgreSQL does not know yet: keys, and revocations."""
        self._unlogged: set[str] = set()
        """What the local log does not know yet, of either kind."""
        self._must_compare = database is not None
        self._creating = asyncio.Lock()
        self._settling: asyncio.Task[None] | None = None
        self._due_s = 0.0
        self._on_revoked: list[Callable[[Key], None]] = []
        self._load()
        if database is not None:
            database.on_up(self._compare_soon)

    # ---- reading --------------------------------------------------------------------------------------------------

    def find(self, api_key: str) -> Key | None:
        """The key of that name, or None."""
        return self._keys.get(api_key)

    def of(self, account: int) -> list[Key]:
        """The keys of an account, oldest first."""
        return sorted(self._accounts.get(account, {}).values(), key=lambda key: (key.created_us, key.api_key))

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        return sorted(self._keys.values(), key=lambda key: (key.created_us, key.api_key))

    def on_revoked(self, callback: Callable[[Key], None]) -> None:
        """Call `callback` at the moment a key is revoked, to end what it has open."""
        self._on_revoked.append(callback)

    # ---- making ---------------------------------------------------------------------------------------------------

    async def create(
        self,
        account: int,
        permissions: Iterable[Permission] = (Permission.READ,),
        *,
        addresses: Sequence[Network] = (),
        symbols: Iterable[str] = (),
        label: str = "",
        expires_us: int = NEVER_US,
        public_key: bytes = b"",
        scheme: Scheme = Scheme.PLAIN,
        totp_enabled: bool = False,
        before: Callable[[Key], Awaitable[None]] | None = None,
    ) -> Created:
        """Make a key; with `public_key` an ED25519 one. Raises KeyRefused, Unavailable, Unrecorded: there is none.

        `before` is awaited when nothing stands against the key and it is not there yet; it may raise what it likes.
        """
        created = self._draw(
            account,
            frozenset(permissions),
            addresses=tuple(addresses),
            symbols=frozenset(symbols),
            label=label,
            expires_us=expires_us,
            public_key=public_key,
            scheme=scheme,
        )
        key = created.key
        check_new(key, now_us=key.created_us, totp_enabled=totp_enabled)
        async with self._creating:
            if len(self._accounts.get(account, ())) >= KEYS_PER_ACCOUNT_MAX:
                raise KeyRefused(f"An account may have at most {KEYS_PER_ACCOUNT_MAX} keys; revoke one first.")
            if before is not None:
                await before(key)
            record = key_records.to_record(key, self._sealer)
            await self._write_new(record)
            self._admit(key, record)
        return created

    async def create_demo(self, account: int, label: str) -> Created:
        """A key that may read and trade in demo mode; PostgreSQL gets it when it can. Raises OSError."""
        rights = frozenset((Permission.READ, Permission.TRADE))
        created = self._draw(account, rights, prefix=DEMO_PREFIX + label, label=label)
        record = key_records.to_record(created.key, self._sealer)
        await self._log.append(record)
        self._admit(created.key, record)
        self._unwritten.add(created.key.api_key)
        return created

    def _draw(
        self,
        account: int,
        permissions: frozenset[Permission],
        *,
        prefix: str = "",
        public_key: bytes = b"",
        **more: Any,
    ) -> Created:
        secret = "" if public_key else draw_secret()
        try:
            key = Key(
                api_key=self._new_name(prefix),
                account=account,
                kind=KeyKind.ED25519 if public_key else KeyKind.HMAC,
                permissions=permissions,
                secret=secret.encode("ascii"),
                public_key=public_key,
                created_us=now_us(),
                unrestricted_us=self._unrestricted_us,
                **more,
            )
        except ValueError:
            raise KeyRefused("The public key is not an Ed25519 public key.") from None
        return Created(key, secret)

    def _new_name(self, prefix: str) -> str:
        """A name whose number no key has or had. Raises KeyRefused."""
        for _ in range(DRAWS_MAX):
            name = draw_name(prefix)
            if number_of(name) not in self._numbers:
                self._numbers.add(number_of(name))
                return name
        raise KeyRefused("The venue has made as many API keys as it can.")

    async def _write_new(self, record: Record) -> None:
        """To PostgreSQL, then to the local log; a key that got stuck on the way is as good as revoked."""
        name, account = record["api_key"], record["account"]
        begun = False
        try:
            if self._database is not None:
                async with self._database.connection() as connection:
                    begun = True
                    async with connection.transaction():
                        if await connection.execute(key_records.INSERT, *key_records.to_row(record)) != "INSERT 0 1":
                            raise KeyRefused(f"There is no user with the account {account}, or not any more.")
                        await connection.execute(key_records.HOLD_WITHDRAWALS, account)
            await self._log.append(record)
        except KeyRefused:
            raise
        except BaseException as error:
            if begun:
                self._bury(name, now_us())
                self._unrevoked.add(name)
            if isinstance(error, OSError):
                log.error("a key was not made: %s can not be written: %s", self._log.path, error.strerror)
                raise Unrecorded("The key was not made: the exchange can not write to its disk.") from None
            raise

    # ---- revoking -------------------------------------------------------------------------------------------------

    async def revoke(self, api_key: str) -> Key | None:
        """Revoke a key, at once; returns it, None when there was none. Raises Unrecorded."""
        key = self._keys.get(api_key)
        if key is not None:
            await self._revoke([key])
        return key

    async def revoke_all(self, account: int) -> list[Key]:
        """Revoke every key of an account, at once; returns them. Raises Unrecorded."""
        revoked = await self._revoke(self.of(account))
        async with self._creating:  # one that was being made is there now
            return revoked + await self._revoke(self.of(account))

    async def _revoke(self, keys: list[Key]) -> list[Key]:
        if not keys:
            return keys
        at_us, names = now_us(), [key.api_key for key in keys]
        for name in names:
            self._bury(name, at_us)
        self._unrevoked.update(names)
        self._due_s = 0.0
        try:
            await self._log.append(*map(self._record, names))
        except OSError as error:
            log.error("a revocation is not in %s, which can not be written: %s", self._log.path, error.strerror)
            with contextlib.suppress(Unavailable, asyncpg.PostgresError, OSError):
                await self.settle()
            if not self._unrevoked.isdisjoint(names):
                raise Unrecorded(
                    "The key does not count any more, but neither the disk nor PostgreSQL took note of it. The "
                    "exchange must not be restarted before one of them is back: the key would count again."
                ) from None
        self.step()
        return keys

    # ---- PostgreSQL -----------------------------------------------------------------------------------------------

    async def _compare_soon(self) -> None:
        self._must_compare, self._due_s = True, 0.0

    def step(self) -> None:
        """Tell PostgreSQL, in the background, what it does not know. Called once a second; it never raises."""
        waiting = self._must_compare or self._unwritten or self._unrevoked or self._unlogged
        if self._database is None or not self._database.is_up or not waiting or time.monotonic() < self._due_s:
            return
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle_later())

    async def _settle_later(self) -> None:
        self._due_s = time.monotonic() + RETRY_S
        try:
            await self.settle()
        except Unavailable:
            pass  # the database says it itself, and calls us when it is back
        except (asyncpg.PostgresError, OSError) as error:
            log.error("API keys can not be made the same in PostgreSQL and %s: %s", self._log.path, explain(error))

    async def settle(self) -> None:
        """Make ring and PostgreSQL the same, as far as users exist. Raises Unavailable, PostgresError, OSError."""
        if self._database is None:
            raise Unavailable("PostgreSQL is not in use.")
        async with self._database.connection() as connection:
            if self._must_compare:
                self._must_compare = False  # before the look: PostgreSQL may come back once more during it
                try:
                    rows = await connection.fetch(key_records.SELECT)
                except BaseException:
                    self._must_compare = True
                    raise
                self._compare(rows)
            if unrevoked := sorted(self._unrevoked):
                await connection.execute(key_records.REVOKE, unrevoked, [self._revoked[name] for name in unrevoked])
                self._unrevoked.difference_update(unrevoked)
            if unwritten := sorted(self._unwritten):
                for record in [self._records[name] for name in unwritten if name in self._records]:
                    await connection.execute(key_records.INSERT, *key_records.to_row(record))
                present = await connection.fetch(key_records.PRESENT, unwritten)
                self._unwritten.difference_update(row["api_key"] for row in present)
        if unlogged := sorted(self._unlogged):  # last: a full disk keeps nothing from PostgreSQL
            await self._log.append(*map(self._record, unlogged))
            self._unlogged.difference_update(unlogged)

    def _compare(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Learn what PostgreSQL knows, and note what it, or the local log, does not."""
        for row in rows:
            name, revoked_us = row["api_key"], row["revoked_us"]
            is_over = revoked_us is not None or row["is_disabled"]
            if is_over and name not in self._revoked:
                self._bury(name, now_us() if revoked_us is None else revoked_us)
                self._unlogged.add(name)
            if name in self._revoked:
                if revoked_us is None:
                    self._unrevoked.add(name)
            elif name not in self._records and (self._demo or not name.startswith(DEMO_PREFIX)):
                record = key_records.from_row(row)
                try:
                    self._admit(key_records.from_record(record, self._sealer, self._unrestricted_us), record)
                except (SealBroken, KeyRefused, ValueError):
                    log.error("the API key %s of account %d does not open and is not used", name, row["account"])
                else:
                    self._unlogged.add(name)
        self._unwritten.update(self._keys.keys() - {row["api_key"] for row in rows})

    async def stop(self) -> None:
        """End what runs in the background; what PostgreSQL was not told it is told after the next start."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait((self._settling,))

    # ---- memory ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        for record in self._log.take((key_records.KEY, key_records.REVOKED), self._live):
            if record["kind"] == key_records.REVOKED:
                self._revoked[record["api_key"]] = record["at_us"]
            else:
                self._records[record["api_key"]] = record
        self._numbers.update(map(number_of, (*self._records, *self._revoked)))
        for name in self._revoked.keys() & self._records.keys():
            del self._records[name]
        for name, record in self._records.items():
            if name.startswith(DEMO_PREFIX) and not self._demo:
                self.left_out += 1
                continue
            try:
                self._admit(key_records.from_record(record, self._sealer, self._unrestricted_us), record)
            except SealBroken:
                raise KeysUnusable(
                    f"The API keys in {self._log.path} were sealed with another EXCHANGE_MASTER_KEY; "
                    "set the one that they were made with."
                ) from None
            except (KeyRefused, ValueError) as error:
                raise KeysUnusable(f"The API keys in {self._log.path} can not be used: {error}.") from None

    def _live(self) -> Iterator[Record]:
        yield from self._records.values()
        yield from map(self._record, self._revoked)

    def _record(self, api_key: str) -> Record:
        """What the local log has to know of a key: that it was revoked, or all of it."""
        if api_key in self._revoked:
            return {"kind": key_records.REVOKED, "api_key": api_key, "at_us": self._revoked[api_key]}
        return self._records[api_key]

    def _admit(self, key: Key, record: Record) -> None:
        if key.api_key not in self._revoked:
            self._records[key.api_key] = record
            self._keys[key.api_key] = key
            self._numbers.add(key.number)  # of a key that another process made
            self._accounts.setdefault(key.account, {})[key.api_key] = key

    def _bury(self, api_key: str, at_us: int) -> None:
        """From here the key does not count."""
        self._revoked[api_key] = at_us
        self._numbers.add(number_of(api_key))
        self._records.pop(api_key, None)
        self._unwritten.discard(api_key)
        key = self._keys.pop(api_key, None)
        if key is not None:
            self._accounts[key.account].pop(api_key)
            for callback in self._on_revoked:
                callback(key)
