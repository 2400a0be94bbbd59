"""Letters: secrets are logged in demo mode only, and a mailer that fails or hangs harms nobody."""

from __future__ import annotations

import asyncio
import logging

import pytest

from exchange.users import mailer
from exchange.users.mailer import LogMailer, Mail, Outbox

LETTER = Mail("owner@example.org", "Reset your password", "This token counts once:", "the-token")


async def test_log_mailer_writes_the_secret_in_demo_mode(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await LogMailer(demo=True).send(LETTER)
    assert "the-token" in caplog.text


async def test_log_mailer_says_outside_demo_mode_that_there_is_none_and_shows_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await LogMailer(demo=False).send(LETTER)
    assert "No mailer is configured" in caplog.text
    assert not {"the-token", "owner@example.org"} & set(caplog.text.split())


class Broken:
    """A mailer whose error quotes the letter."""

    async def send(self, mail: Mail) -> None:
        raise RuntimeError(f"can not send {mail}")


async def test_error_of_a_mailer_is_logged_without_the_letter(caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(Broken())
    outbox.post(LETTER)
    await outbox.stop()
    assert "RuntimeError" in caplog.text
    assert "the-token" not in caplog.text


class Hanging:
    """A mailer that never comes back."""

    async def send(self, mail: Mail) -> None:
        await asyncio.Event().wait()


async def test_letters_beyond_the_bound_are_dropped_and_a_stop_waits_for_none(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer, "WAITING_MAX", 2)
    outbox = Outbox(Hanging())
    for _ in range(3):
        outbox.post(LETTER)
    await outbox.stop()
    assert "2 letters are on their way; one more was dropped" in caplog.text
