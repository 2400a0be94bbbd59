"""The throttle: what is free, how waits grow and wear off, and that strangers can not fill its memory."""

from __future__ import annotations

import ipaddress

import pytest

from exchange.users.errors import TooManyTries
from exchange.users.throttle import ACCOUNT, ADDRESS, Key, Throttle, by_address, by_text
from tests.users.office import StillClock

KEY: list[Key] = [by_text(ACCOUNT, "owner@example.org")]


def wait_s(throttle: Throttle, keys: list[Key] = KEY) -> float:
    """How long a try has to wait; 0: it was let in and counted."""
    try:
        throttle.enter(keys)
    except TooManyTries as refused:
        return refused.retry_after_s
    return 0.0


def test_wait_doubles_with_every_wrong_try_up_to_a_quarter_of_an_hour() -> None:
    clock = StillClock()
    throttle = Throttle(clock)
    assert [wait_s(throttle) for _ in range(6)] == [0.0] * 6
    waits = []
    for _ in range(12):
        waits.append(wait_s(throttle))
        clock.now_s += waits[-1]
        assert wait_s(throttle) == 0.0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_refused_tries_do_not_lengthen_the_wait_and_tries_wear_off() -> None:
    clock = StillClock()
    throttle = Throttle(clock)
    for _ in range(6):
        assert wait_s(throttle) == 0.0
    assert {wait_s(throttle) for _ in range(100)} == {1.0}
    clock.now_s += 6 * ACCOUNT.forget_s
    assert [wait_s(throttle) for _ in range(6)] == [0.0] * 6


def test_about_a_hundred_wrong_tries_get_through_in_a_day() -> None:
    clock = StillClock()
    throttle = Throttle(clock)
    end_s, tries = clock.now_s + 86_400, 0
    while clock.now_s < end_s:
        wait = wait_s(throttle)
        tries += wait == 0.0
        clock.now_s += wait or 0.001
    assert 90 < tries < 120


def test_try_that_turns_out_right_is_taken_back_with_the_wait_that_it_caused() -> None:
    throttle = Throttle(StillClock())
    address = by_address(ipaddress.ip_address("192.0.2.1"))
    for _ in range(ADDRESS.free + 10):
        throttle.enter(address).succeeded()
    assert throttle.size() == 0
    for _ in range(ADDRESS.free):
        throttle.enter(address)
    throttle.enter(address).take_back()
    assert wait_s(throttle, address) == 0.0
    assert wait_s(throttle, address) == 1.0


def test_success_clears_the_account_and_not_the_address() -> None:
    throttle = Throttle(StillClock())
    keys = [*KEY, *by_address(ipaddress.ip_address("192.0.2.1"))]
    for _ in range(5):
        throttle.enter(keys)
    throttle.enter(keys).succeeded(ACCOUNT)
    assert [wait_s(throttle) for _ in range(7)] == [0.0] * 6 + [1.0]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", 2),
        ("192.0.2.1", "192.0.3.1", 1),
        ("2001:db8::1", "2001:db8::ffff:1", 3),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", 2),
        ("2001:db8:1::1", "2001:db8:2::1", 1),
    ],
)
def test_addresses_of_one_line_and_one_network_share_their_counts(one: str, other: str, shared: int) -> None:
    keys = [set(by_address(ipaddress.ip_address(text))) for text in (one, other)]
    assert len(keys[0] & keys[1]) == shared


def test_memory_is_flat_however_many_addresses_try() -> None:
    throttle = Throttle(StillClock(), keys_max=1000)
    for number in range(1_000_000 // 8):
        address = ipaddress.IPv4Address(0x0A00_0000 + number * 97)
        assert wait_s(throttle, by_address(address)[:2]) == 0.0
    assert throttle.size() == 2000


def test_known_keys_are_kept_while_strangers_come_and_are_refused() -> None:
    throttle = Throttle(StillClock(), keys_max=10)
    for _ in range(6):
        throttle.enter(KEY)
    for number in range(1000):  # each of them is let in and right
        throttle.enter([by_text(ACCOUNT, str(number))]).take_back()
    assert wait_s(throttle) == 1.0
