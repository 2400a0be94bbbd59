"""Weights, windows, refusals and bans, with a clock that the test holds."""

from __future__ import annotations

import ipaddress
import itertools
import pathlib
import re
import tracemalloc

import pytest

from exchange.gateway.address import limited, limited_client
from exchange.gateway.bans import FIRST_S, FORGET_S, MOST_S, Bans
from exchange.gateway.errors import Refusal
from exchange.gateway.limits import ADDRESSES_MAX, PATIENCE, SHARED_MAX, Limits, Rates, Usage, weight_lines
from exchange.gateway.routes import ROUTES
from exchange.gateway.weights import FAMILIES, WEIGHTS, Weight, weight_of
from tests.style import source

START_S = 1_700_000_100.0  # a full five minutes
ADDRESS = b"\x0a\x00\x00\x01"
ONE = Weight(1)
CANCEL = Weight(1, cancels=True)
ORDER = WEIGHTS["POST", "order"]


class Clock:
    """Stands still until somebody sets it."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def admit(limits: Limits, weight: Weight, address: bytes = ADDRESS) -> Usage:
    usage = limits.of(address)
    limits.enter(usage, weight)
    return usage


def use(limits: Limits, weight: int = 1, address: bytes = ADDRESS) -> Usage:
    return admit(limits, Weight(weight), address)


def refusal(limits: Limits, weight: Weight = ONE, address: bytes = ADDRESS) -> Refusal:
    with pytest.raises(Refusal) as caught:
        admit(limits, weight, address)
    return caught.value


def banned(limits: Limits, address: bytes = ADDRESS) -> Refusal:
    """Use everything up and go on until the answer is 418."""
    use(limits, limits.rates.weight_per_minute, address)
    assert [refusal(limits, address=address).status for _ in range(PATIENCE)] == [429] * PATIENCE
    refused = refusal(limits, address=address)
    assert refused.status == 418
    return refused


# ---- the windows --------------------------------------------------------------------------------------------------


def test_weight_is_used_up_and_comes_back_when_the_minute_of_the_clock_ends(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    clock.now_s = START_S + 59.5  # half a second before the end of the minute
    assert use(limits, 6000).weight == 6000
    refused = refusal(limits)
    assert (refused.status, refused.code, refused.retry_after_s, refused.outcome) == (429, -1003, 1, "rejected")
    assert refused.msg == (
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    clock.now_s = START_S + 60
    assert use(limits, 6000).weight == 6000


def test_retry_after_is_the_rest_of_the_window(clock: Clock) -> None:
    limits = Limits(Rates(raw_requests_per_5m=2), clock)
    clock.now_s = START_S + 10.25
    use(limits, 6000)
    assert refusal(limits).retry_after_s == 50
    clock.now_s = START_S + 61
    refused = refusal(limits)
    assert refused.msg.startswith("Too many requests; current limit is 2 requests per 5 MINUTE. ")
    assert refused.retry_after_s == 239


def test_raw_requests_count_over_five_minutes(clock: Clock) -> None:
    limits = Limits(Rates(raw_requests_per_5m=10), clock)
    for minute in range(5):
        clock.now_s = START_S + 60 * minute
        use(limits)
        use(limits)
    assert refusal(limits).status == 429
    clock.now_s = START_S + 300
    use(limits)


def test_clock_that_is_set_back_begins_a_new_window(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    use(limits, 6000)
    clock.now_s = START_S - 3600
    assert use(limits, 1).weight == 1


def test_refused_request_counts_and_the_header_tells(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    use(limits, 5990)
    assert refusal(limits, Weight(250)).status == 429
    assert weight_lines(limits.of(ADDRESS).weight) == b"X-MBX-USED-WEIGHT: 6240\r\nX-MBX-USED-WEIGHT-1M: 6240\r\n"


def test_weight_of_the_parameters_counts_and_is_refused_like_that_of_the_request(clock: Clock) -> None:
    limits = Limits(Rates(weight_per_minute=100), clock)
    usage = use(limits, 5)
    limits.add(usage, 95)
    with pytest.raises(Refusal) as caught:
        limits.add(usage, 1)
    assert caught.value.status == 429
    assert limits.of(ADDRESS).weight == 101


def test_order_weighs_nothing_until_it_fails_and_needs_weight_that_is_not_overdrawn(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    use(limits, 6000)
    usage = admit(limits, ORDER)
    assert usage.weight == 6000
    usage.weight += ORDER.failed
    assert refusal(limits, ORDER).status == 429


def test_limit_of_zero_and_limits_that_are_not_enforced_refuse_nobody(clock: Clock) -> None:
    for rates in (Rates(0, 0, 0, 0, 0), Rates(1, 1, 1, 1, 1, enforced=False)):
        limits = Limits(rates, clock)
        for _ in range(PATIENCE + 10):
            limits.admit_connection(limits.of(ADDRESS))
            admit(limits, CANCEL)
            limits.orders.enter(1)
        assert limits.of(ADDRESS).weight == 2 * (PATIENCE + 10)


def test_connection_costs_two_and_their_number_is_limited(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    for _ in range(300):
        limits.admit_connection(limits.of(ADDRESS))
    assert limits.of(ADDRESS).weight == 600
    with pytest.raises(Refusal) as caught:
        limits.admit_connection(limits.of(ADDRESS))
    assert (caught.value.status, caught.value.code) == (429, -1003)
    assert caught.value.msg == "Too many connections; current limit is 300 connections per 5 MINUTE."
    use(limits)
    clock.now_s += 300
    limits.admit_connection(limits.of(ADDRESS))


# ---- cancels ------------------------------------------------------------------------------------------------------


def test_cancels_pass_when_the_weight_is_used_up_and_during_a_ban(clock: Clock) -> None:
    limits = Limits(Rates(weight_per_minute=100), clock)
    banned(limits)
    for _ in range(100):
        admit(limits, CANCEL)
    assert refusal(limits, CANCEL).status == 418
    assert refusal(limits).status == 418


def test_cancels_have_an_allowance_of_the_same_size_and_cost_nothing_of_the_weight(clock: Clock) -> None:
    limits = Limits(Rates(weight_per_minute=100), clock)
    for _ in range(100):
        assert admit(limits, CANCEL).weight == 0
    assert refusal(limits, CANCEL).status == 429
    use(limits, 100)
    clock.now_s += 60
    admit(limits, CANCEL)


# ---- bans ---------------------------------------------------------------------------------------------------------


def test_going_on_after_429_is_a_ban_that_the_window_does_not_end(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    refused = banned(limits)
    assert (refused.code, refused.retry_after_s) == (-1003, FIRST_S)
    assert refused.msg == (
        f"Way too much request weight used; IP banned until {int((START_S + FIRST_S) * 1000)}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    clock.now_s += 60
    assert (refusal(limits).status, refusal(limits).retry_after_s) == (418, 60)
    clock.now_s += 60
    assert use(limits).weight == 1


def test_ban_outlives_the_table_of_addresses(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    for _ in range(3):
        clock.now_s += banned(limits).retry_after_s
    banned(limits)  # for 16 minutes
    clock.now_s += 15 * 60
    assert refusal(limits).status == 418
    clock.now_s += 60
    use(limits)


def test_repeated_bans_double_up_to_three_days_and_wear_off_with_time() -> None:
    bans, now_s, lengths = Bans(), START_S, []
    for _ in range(14):
        lengths.append(bans.add(ADDRESS, now_s) - now_s)
        now_s += lengths[-1]
    assert lengths == [min(FIRST_S * 2**repeat, MOST_S) for repeat in range(14)]
    assert lengths[-1] == MOST_S == 259_200
    now_s += 13 * FORGET_S  # of 14 bans, one is left to count
    assert bans.add(ADDRESS, now_s) - now_s == 2 * FIRST_S
    now_s += 2 * FIRST_S + 2 * FORGET_S
    assert bans.add(ADDRESS, now_s) - now_s == FIRST_S


def test_requests_during_a_ban_do_not_lengthen_it(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    banned(limits)
    for _ in range(10 * PATIENCE):
        assert refusal(limits).status == 418
    clock.now_s += FIRST_S
    use(limits)


def test_refusals_of_several_minutes_are_no_ban(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    for _ in range(5):
        use(limits, 6000)
        assert [refusal(limits).status for _ in range(PATIENCE)] == [429] * PATIENCE
        clock.now_s += 60


def test_bans_are_bounded_and_those_that_end_first_are_forgotten() -> None:
    bans = Bans(addresses_max=100)
    bans.add(ADDRESS, START_S)
    long_s = bans.add(ADDRESS, START_S + FIRST_S)
    for number in range(1000):
        bans.add(number.to_bytes(4, "big"), START_S + FIRST_S)
    assert bans.size() == 100
    assert len(bans._ends) <= 200
    assert bans.until_s(ADDRESS) == long_s
    for _ in range(1000):
        bans.add(ADDRESS, START_S)
    assert len(bans._ends) <= 200


# ---- many addresses -----------------------------------------------------------------------------------------------


def test_million_addresses_leave_memory_flat_and_a_banned_one_banned(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    for _ in range(2):
        clock.now_s += banned(limits).retry_after_s
    banned(limits)
    # The table of addresses turns over while the ban lasts; the flood comes before the banned one is seen again.
    clock.now_s = START_S + 600
    addresses = ((number * 2_147).to_bytes(4, "big") for number in range(1_000_000))
    traced = []
    tracemalloc.start()
    try:
        for _ in range(2):
            for address in itertools.islice(addresses, 100_000):
                use(limits, 1, address)
            traced.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert traced[1] - traced[0] < 1 << 20
    assert traced[1] < 32 << 20
    for address in addresses:
        use(limits, 1, address)
    assert ADDRESSES_MAX < limits.size() <= ADDRESSES_MAX + SHARED_MAX
    assert refusal(limits).status == 418
    clock.now_s = START_S + 900
    use(limits)
    assert limits.size() == 1


def test_addresses_beyond_the_table_share_the_limit_of_their_network_and_are_never_banned(clock: Clock) -> None:
    limits = Limits(Rates(weight_per_minute=100), clock, addresses_max=1)
    use(limits)
    neighbour, other = b"\x0b\x00\x00\x01", b"\x0b\x00\xff\xff"
    use(limits, 100, neighbour)
    for _ in range(3 * PATIENCE):
        assert refusal(limits, address=other).status == 429
    assert limits.bans.size() == 0
    use(limits)


def test_ipv6_addresses_of_one_line_count_as_one() -> None:
    line = [limited(ipaddress.ip_address(text)) for text in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")]
    assert line[0] == line[1] != limited(ipaddress.ip_address("2001:db8:1:3::1"))
    assert limited_client(("::ffff:10.0.0.1", 5), [], ()) == limited_client(("10.0.0.1", 6), [], ()) == ADDRESS


def test_forwarded_address_counts_only_where_a_trusted_proxy_wrote_it() -> None:
    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    forwarded = ["198.51.100.1"]
    assert limited_client(("10.0.0.1", 1), forwarded, trusted) == bytes((198, 51, 100, 1))
    assert limited_client(("10.0.0.1", 1), forwarded, ()) == ADDRESS
    assert limited_client(("192.0.2.1", 1), forwarded, trusted) == bytes((192, 0, 2, 1))
    assert limited_client(None, [], ()) == bytes(4)


# ---- what is told ---------------------------------------------------------------------------------------------------


def test_descriptions_are_those_of_the_contract(clock: Clock) -> None:
    limits = Limits(Rates(), clock)
    assert limits.describe() == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300000},
    ]
    assert limits.order_counts(5) == [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": 0},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000, "count": 0},
    ]
    none = Limits(Rates(0, 0, 0, 0, 0), clock)
    assert (none.describe(), none.order_counts(5)) == ([], [])


# ---- weights --------------------------------------------------------------------------------------------------------


def test_every_route_has_a_weight() -> None:
    for route in ROUTES:
        weight_of(route.method, route.path)


@pytest.mark.parametrize(
    ("method", "endpoint", "params", "weight"),
    [
        ("GET", "depth", {}, 5),
        ("GET", "depth", {"limit": "100"}, 5),
        ("GET", "depth", {"limit": "101"}, 25),
        ("GET", "depth", {"limit": "500"}, 25),
        ("GET", "depth", {"limit": "501"}, 50),
        ("GET", "depth", {"limit": "1000"}, 50),
        ("GET", "depth", {"limit": "1001"}, 250),
        ("GET", "depth", {"limit": "9" * 5000}, 250),
        ("GET", "depth", {"limit": "-1"}, 5),
        ("GET", "ticker/24hr", {"symbol": "A"}, 2),
        ("GET", "ticker/24hr", {"symbols": '["A"]'}, 2),
        ("GET", "ticker/24hr", {"symbols": ",".join("A" * 20)}, 2),
        ("GET", "ticker/24hr", {"symbols": ",".join("A" * 21)}, 40),
        ("GET", "ticker/24hr", {"symbols": ",".join("A" * 100)}, 40),
        ("GET", "ticker/24hr", {"symbols": ",".join("A" * 101)}, 80),
        ("GET", "ticker/24hr", {}, 80),
        ("GET", "ticker/price", {"symbol": "A"}, 2),
        ("GET", "ticker/price", {"symbols": '["A"]'}, 4),
        ("GET", "ticker/bookTicker", {}, 4),
        ("GET", "ticker", {"symbol": "A"}, 4),
        ("GET", "ticker", {"symbols": ",".join("A" * 3)}, 12),
        ("GET", "ticker", {"symbols": ",".join("A" * 90)}, 200),
        ("POST", "order", {}, 0),
        ("POST", "order/test", {}, 1),
        ("POST", "order/test", {"computeCommissionRates": "true"}, 20),
        ("POST", "order/test", {"computeCommissionRates": "false"}, 1),
        ("GET", "openOrders", {"symbol": "A"}, 6),
        ("GET", "openOrders", {}, 80),
        ("GET", "myTrades", {}, 20),
        ("GET", "myTrades", {"orderId": "1"}, 5),
        ("GET", "myPreventedMatches", {"preventedMatchId": "1"}, 2),
        ("GET", "myPreventedMatches", {"orderId": "1"}, 20),
    ],
)
def test_weight_depends_on_the_parameters(method: str, endpoint: str, params: dict[str, str], weight: int) -> None:
    assert WEIGHTS[method, endpoint].of(params) == weight


def test_both_faces_weigh_the_same_and_head_like_get() -> None:
    assert weight_of("GET", "/api/v3/depth") is weight_of("GET", "/v1/depth") is weight_of("HEAD", "/v1/depth")
    assert weight_of("POST", "/v1/user/login") == Weight(1)
    assert weight_of("GET", "/health").free
    assert weight_of("GET", "/docs/index.html").free
    for path in ("/v1/order/", "/v1/userX", "/healthy", "/order"):
        with pytest.raises(KeyError):
            weight_of("GET", path)


def test_page_lists_the_weight_of_every_endpoint() -> None:
    page = source.text(pathlib.PurePosixPath("docs/limits.md"))
    rows = re.findall(r"^\| `(GET|POST|PUT|DELETE) ([\w/]+)` \| (\d+)", page, re.MULTILINE)
    documented = {(method, endpoint): int(weight) for method, endpoint, weight in rows}
    assert documented == {name: weight.of({}) for name, weight in WEIGHTS.items()}
    families = dict(re.findall(r"^\| `(/[\w/]+)/?\*?` \| (\d+)", page, re.MULTILINE))
    assert families == {path: str(weight.base) for path, weight in FAMILIES.items()}
