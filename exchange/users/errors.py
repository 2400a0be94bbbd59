"""What the people side says when it does not do what it was asked: one class a kind, each text a sentence.

Never names what a stranger should not learn: whether an address is registered, which of two secrets was wrong. That
PostgreSQL is away is `exchange.persistence.database.Unavailable`.
"""

from __future__ import annotations


class UserError(Exception):
    """The base; `detail` is the sentence. Nothing happened unless the class says otherwise."""

    detail = "The request can not be done."

    def __init__(self, detail: str = "") -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)


class NotAuthorized(UserError):
    """Unknown user, wrong password, disabled user, ended session: one answer for all of them."""

    detail = "Not authorized: the email, the password or the session is not valid."


class SecondFactorNeeded(UserError):
    """The password is right, and the code is missing, wrong or used."""

    detail = "A code of the second factor is needed."


class NotAcceptable(UserError):
    """A value that breaks a rule: a malformed email, a password that everybody guesses."""


class TokenRefused(UserError):
    """A reset token that is unknown, used or too old."""

    detail = "The token is not valid: it is unknown, was used, or is too old."


class NotFound(UserError):
    """There is no such thing, or it is somebody else's."""


class Conflict(UserError):
    """It does not fit what is there: the second factor is on already, an identity check is under way."""


class Later(UserError):
    """Not now; the same request may do in `retry_after_s`."""

    def __init__(self, detail: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooManyTries(Later):
    """A throttle; it opens by itself."""

    detail = "Too many tries; wait before the next one."


class Busy(Later):
    """A queue is full, or the engine takes no command now."""

    detail = "Too many people log in at this moment; try again in a few seconds."
