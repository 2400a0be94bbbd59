"""The user data stream on a connection: subscribe, resume, unsubscribe, and the envelope around each event.

Owns the subscriptions of every connection. Each has a number, which is never used again on that connection, and its
events come as {"subscriptionId":n,"event":{...}}, made by concatenation: the event was encoded once for everybody.
Nothing is ever left out; a client that does not read is closed, 4008, with the sequence to resume from.

The answer to a subscribe comes before the first event. A stream ends with `eventStreamTerminated`, whoever ends it: the
client (the event comes before the answer), the end of its session, or that of its key.
"""

from __future__ import annotations

from exchange.gateway.catalogue import FROM_SEQUENCE, SIGNED, SUBSCRIPTION_ID
from exchange.gateway.errors import Refusal, mandatory
from exchange.gateway.faces import BINANCE
from exchange.gateway.private.subscriptions import Subscription
from exchange.gateway.replies import Reply
from exchange.gateway.signing import Call, timeless
from exchange.gateway.venue import Venue
from exchange.gateway.ws_api.calls import API_KEY, check_params, signed_call
from exchange.gateway.ws_api.connection import Channel, Connection
from exchange.gateway.ws_api.messages import Request
from exchange.gateway.ws_api.sessions import Sessions
from exchange.users.keys import Key, Permission

_NOTHING: frozenset[str] = frozenset()
_OF_SESSION = frozenset((FROM_SEQUENCE.name,))
_SIGNED = frozenset((FROM_SEQUENCE.name, *(field.name for field in SIGNED)))
_UNSUBSCRIBE = frozenset((SUBSCRIPTION_ID.name,))


class Stream:
    """One subscription of one connection: the sink of its events."""

    def __init__(self, venue: Venue, connection: Connection, key: Key, *, is_of_session: bool) -> None:
        self.number = connection.next_channel
        self.key = key
        self.is_of_session = is_of_session
        self.last_sequence = 0
        self._user_data = venue.user_data
        self._connection = connection
        self._subscription: Subscription | None = None
        self._before = b'{"subscriptionId":%d,"event":' % self.number
        connection.next_channel += 1
        connection.channels[self.number] = self

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes; it may have ended by itself."""
        return self._subscription is not None and bool(self._subscription.ended)

    async def begin(self, from_sequence: int | None) -> None:
        """Listen, from behind a sequence or from now on. Raises Refusal; it is over then."""
        connection = self._connection
        try:
            subscription = await self._user_data.subscribe(
                self.key.account,
                self,
                from_sequence=from_sequence,
                unit_ns=connection.unit_ns,
                drain=connection.drain,
            )
        except BaseException:
            connection.channels.pop(self.number, None)
            raise
        if connection.channels.get(self.number) is not self:
            self._user_data.unsubscribe(subscription)
            raise _inactive()
        self._subscription = subscription
        self.last_sequence = subscription.sequence

    def event(self, payload: bytes, sequence: int) -> None:
        """Tell the client an event."""
        connection = self._connection
        if not connection.is_closing:
            connection.tell(b"%b%b}" % (self._before, payload))
            if not connection.is_closing:
                self.last_sequence = sequence

    def end(self, reason: str) -> None:
        """Tell the client that the stream is over, and why."""
        self._connection.channels.pop(self.number, None)
        if self._subscription is not None:
            self._user_data.terminate(self._subscription, reason)


class UserStreams:
    """The methods of the user data stream."""

    def __init__(self, venue: Venue, sessions: Sessions, subscriptions_max: int) -> None:
        self._venue = venue
        self._sessions = sessions
        self._subscriptions_max = subscriptions_max

    async def subscribe(self, connection: Connection, request: Request) -> Reply:
        """userDataStream.subscribe: the stream of the session's account."""
        session = connection.session
        if session is None:
            raise Refusal(401, -1002, "You are not authorized to execute this request.")
        params = request.params
        check_params(params, _OF_SESSION)
        face = self._venue.faces[BINANCE]
        call = timeless(face, session.key, params, Permission.READ, connection.unit_ns, connection.client)
        return await self._begin(connection, call, is_of_session=True)

    async def subscribe_signed(self, connection: Connection, request: Request) -> Reply:
        """userDataStream.subscribe.signature: the stream of the account of any key."""
        if API_KEY not in request.params:
            raise mandatory(API_KEY)
        call = signed_call(self._venue, connection, request, _SIGNED, Permission.READ)
        return await self._begin(connection, call, is_of_session=False)

    async def unsubscribe(self, connection: Connection, request: Request) -> Reply:
        """userDataStream.unsubscribe: one stream of the connection, or all."""
        params, live = request.params, self._live(connection)
        check_params(params, _UNSUBSCRIBE)
        if SUBSCRIPTION_ID.name in params:
            number = SUBSCRIPTION_ID.read(params)
            if number not in live:
                raise _inactive()
            live = {number: live[number]}
        for stream in live.values():
            stream.end("The client has unsubscribed.")
            self._sessions.release(stream.key, connection)
        return Reply({})

    async def subscriptions(self, connection: Connection, request: Request) -> Reply:
        """session.subscriptions: the streams of the connection."""
        check_params(request.params, _NOTHING)
        return Reply([{"subscriptionId": number} for number in self._live(connection)])

    def _live(self, connection: Connection) -> dict[int, Channel]:
        """The streams of a connection; those that ended by themselves are forgotten."""
        for number, stream in tuple(connection.channels.items()):
            if stream.is_over:
                del connection.channels[number]
                self._sessions.release(stream.key, connection)
        return dict(connection.channels)

    async def _begin(self, connection: Connection, call: Call, *, is_of_session: bool) -> Reply:
        key, params = call.key, call.params
        from_sequence = FROM_SEQUENCE.read(params) if FROM_SEQUENCE.name in params else None
        if any(stream.key.account == key.account for stream in self._live(connection).values()):
            raise Refusal(400, -2035, "User Data Stream subscription already active.")
        if connection.next_channel >= self._subscriptions_max:
            raise Refusal(400, -2042, "Subscription IDs of this connection are exhausted; connect again.")
        stream = Stream(self._venue, connection, key, is_of_session=is_of_session)
        self._sessions.hold(key, connection)
        try:
            await stream.begin(from_sequence)
        except BaseException:
            self._sessions.release(key, connection)
            raise
        return Reply({"subscriptionId": stream.number, "sequence": stream.last_sequence})


def _inactive() -> Refusal:
    return Refusal(400, -2036, "User Data Stream subscription not active.")
