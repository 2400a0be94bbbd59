"""Sessions: who is logged in, in memory; kept in PostgreSQL, ended without it.

Owns the tokens and every session that counts. A token is 256 random bits; what is kept of it is
HMAC-SHA256(AUTH_TOKEN_SECRET, token), so that neither a database dump nor a new secret lets anybody in. A session
ends AUTH_TOKEN_TTL after its login, EXCHANGE_SESSION_IDLE after its last use, or at once when it is ended: in memory
first, then in the local log, then in PostgreSQL.

Invariants: a login never takes up a session that exists; one that was ended never counts again, whichever of local
log and PostgreSQL forgot about it; a person has at most SESSIONS_MAX.
"""

from __future__ import annotations

import datetime as dt
import hmac
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exchange.persistence.database import Connection, Database, Unavailable
from exchange.users.local_log import LocalLog, Record
from exchange.users.store import new_token

log = logging.getLogger("exchange.users")
SESSIONS_MAX = 20
RECORD_KIND = "sessions_ended"


@dataclass(slots=True, eq=False)
class Session:
    """One login. Times are seconds since the epoch."""

    digest: bytes
    user_id: int
    account: int
    address: str
    created_at: float
    expires_at: float
    used_at: float

    @property
    def name(self) -> str:
        """What it is called in answers; nobody can log in with it."""
        return self.digest[:8].hex()


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


class Sessions:
    """The sessions of one process. `loaded`: whether those from before the start are known."""

    def __init__(
        self, secret: str, local: LocalLog, *, ttl_s: float, idle_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.loaded = False
        self._secret = secret.encode()
        self._local = local
        self._ttl_s = ttl_s
        self._idle_s = idle_s
        self._clock = clock
        self._live: dict[bytes, Session] = {}
        self._by_user: dict[int, dict[bytes, Session]] = {}
        self._ended: dict[bytes, float] = {}
        """Digest -> when it would have expired, of those that were ended before that."""
        self._noted_at = 0.0
        """PostgreSQL knows of uses up to here."""
        for record in local.take((RECORD_KIND,), self._records):
            self._ended |= {bytes.fromhex(digest): record["until"] for digest in record["digests"]}

    def authenticate(self, token: str) -> Session | None:
        """The session of a token, None when there is none (any more). It counts as used."""
        session = self._live.get(self._digest(token))
        if session is None:
            return None
        now = self._clock()
        if self._is_over(session, now):
            return None
        session.used_at = now
        return session

    def of_user(self, user_id: int) -> list[Session]:
        """The sessions of a person, oldest first."""
        now = self._clock()
        mine = self._by_user.get(user_id, {}).values()
        return sorted((one for one in mine if not self._is_over(one, now)), key=lambda one: one.created_at)

    def is_live(self, session: Session) -> bool:
        """Whether it was not ended."""
        return session.digest in self._live

    def open(self, user_id: int, account: int, address: str) -> tuple[str, Session]:
        """A token and its session, which counts at once and is to be kept with `keep`."""
        token, now = new_token(), self._clock()
        session = Session(self._digest(token), user_id, account, address, now, now + self._ttl_s, now)
        self._add(session)
        return token, session

    def discard(self, session: Session) -> None:
        """Forget a session that was opened and could not be kept."""
        self._remove(session)

    async def keep(self, connection: Connection, session: Session) -> None:
        """Write a new session to PostgreSQL."""
        await connection.execute(
            "insert into exchange_user.sessions (digest, user_id, address, created_at, used_at, expires_at) "
            "values ($1, $2, $3, $4, $4, $5)",
            session.digest,
            session.user_id,
            session.address,
            _time(session.created_at),
            _time(session.expires_at),
        )

    def surplus(self, user_id: int) -> list[Session]:
        """The oldest sessions of a person beyond SESSIONS_MAX."""
        return self.of_user(user_id)[:-SESSIONS_MAX]

    async def end(self, sessions: Iterable[Session], database: Database) -> None:
        """End sessions: at once here, then in the local log, then in PostgreSQL if that is there."""
        ended = [session for session in sessions if self._remove(session)]
        if not ended:
            return
        digests = [session.digest for session in ended]
        until = max(session.expires_at for session in ended)
        self._ended |= dict.fromkeys(digests, until)
        try:
            await self._local.append(_record(digests, until))
        except OSError as error:
            log.error("the end of %d sessions is not in the local log: %s", len(digests), error.strerror)
        try:
            async with database.connection() as connection:
                await _write_ends(connection, digests)
        except Unavailable:
            log.warning("the end of %d sessions is in the local log and not in PostgreSQL yet", len(digests))

    async def settle(self, connection: Connection) -> None:
        """Make PostgreSQL and memory agree: ended in either is ended; what only PostgreSQL has counts again here.

        A session that PostgreSQL does not have any more, because it was restored from a backup, ends.
        """
        begun = self._clock()
        await _write_ends(connection, list(self._ended))
        rows = await connection.fetch(
            "select s.digest, s.user_id, u.account, s.address, s.created_at, s.expires_at, s.used_at "
            "from exchange_user.sessions s join exchange_user.users u using (user_id) "
            "where s.revoked_at is null and s.expires_at > now() and u.status = 'active'"
        )
        before, self._live, self._by_user = self._live, {}, {}
        for digest, user_id, account, address, created, expires, used in rows:
            if digest in self._ended:
                continue
            session = before.pop(digest, None) or Session(
                digest, user_id, account, address, created.timestamp(), expires.timestamp(), used.timestamp()
            )
            self._add(session)
        for session in before.values():
            if session.created_at >= begun:  # a login that was under way while this looked
                self._add(session)
        self.loaded = True

    async def sweep(self, database: Database) -> None:
        """End what was idle for too long, forget what is past, and note in PostgreSQL what was used. Once a minute."""
        now = self._clock()
        self._ended = {digest: until for digest, until in self._ended.items() if until > now}
        over = [session for session in self._live.values() if self._is_over(session, now)]
        await self.end(over, database)
        live = self._live.values()
        used = [(one.digest, _time(one.used_at)) for one in live if one.used_at > max(one.created_at, self._noted_at)]
        async with database.connection() as connection:
            await connection.execute(
                "update exchange_user.sessions s set used_at = n.used_at "
                "from unnest($1::bytea[], $2::timestamptz[]) as n (digest, used_at) "
                "where s.digest = n.digest and s.used_at < n.used_at - interval '1 minute'",
                [digest for digest, _ in used],
                [at for _, at in used],
            )
            self._noted_at = now
            await connection.execute("delete from exchange_user.sessions where expires_at < now() - interval '31 days'")

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._secret, token.encode("utf-8", "surrogatepass"), "sha256")

    def _is_over(self, session: Session, now: float) -> bool:
        return now >= session.expires_at or now - session.used_at >= self._idle_s

    def _add(self, session: Session) -> None:
        self._live[session.digest] = session
        self._by_user.setdefault(session.user_id, {})[session.digest] = session

    def _remove(self, session: Session) -> bool:
        if self._live.pop(session.digest, None) is None:
            return False
        mine = self._by_user[session.user_id]
        del mine[session.digest]
        if not mine:
            del self._by_user[session.user_id]
        return True

    def _records(self) -> Iterable[Record]:
        """What the local log should hold."""
        now = self._clock()
        return [_record([digest], until) for digest, until in self._ended.items() if until > now]


def _record(digests: list[bytes], until: float) -> Record:
    return {"kind": RECORD_KIND, "digests": [digest.hex() for digest in digests], "until": until}


async def _write_ends(connection: Connection, digests: list[bytes]) -> None:
    await connection.execute(
        "update exchange_user.sessions set revoked_at = now() where revoked_at is null and digest = any($1)", digests
    )
