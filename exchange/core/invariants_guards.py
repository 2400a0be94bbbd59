"""What must be true of rules, of what guards remember, of phases and of timers.

Owns the sentences of docs/engine-guards.md, section 25; `invariants.py` calls them.
"""

from __future__ import annotations

import numpy as np

from exchange.core.codes import Phase
from exchange.core.invariant import hold_that
from exchange.core.reference_price import LOTS_MAX, TRADE_LOTS_MAX
from exchange.core.rules import SYMBOL_RULE_MAX
from exchange.core.state import BUCKETS, COUNTDOWNS_MAX, MAX_ATOMS, SYMBOL_RULES, State


def check_guards(state: State) -> None:
    """Raise InvariantBroken with the first sentence that does not hold."""
    _check_symbols(state)
    _check_reference_buckets(state)
    _check_breaker_buckets(state)
    _check_accounts(state)
    _check_keys(state)
    _check_countdowns(state)


def _check_symbols(state: State) -> None:
    rules = np.asarray(state.rules).reshape(-1, SYMBOL_RULES)
    most = np.array(list(SYMBOL_RULE_MAX.values()))
    hold_that(bool(((rules >= 0) & (rules <= most)).all()), "rules of symbols are within their bounds [26]")
    for symbol in range(1, len(state.symbols)):
        market = state.markets[symbol]
        where = f"symbol {symbol}"
        ruled, phase = bool(rules[symbol].any()), int(market.phase)
        hold_that(phase in list(Phase), f"{where} is in a phase [26]")
        guarded = ruled or phase != Phase.CONTINUOUS
        hold_that(int(market.guarded) == guarded, f"{where} knows whether it is guarded [26]")
        hold_that(not guarded or market.watched == 1, f"{where} is watched as it is guarded [26]")
        told = (int(market.indicative_price_ticks), int(market.indicative_lots))
        hold_that(phase == Phase.AUCTION or told == (0, 0), f"{where} indicates in an auction only [26]")
        hold_that(phase != Phase.CONTINUOUS or market.phase_end_ts_ns == 0, f"{where} trades without an end [26]")


def _check_reference_buckets(state: State) -> None:
    table = np.asarray(state.reference_buckets)
    used = np.flatnonzero(table["lots"])
    rows = table[used]
    hold_that(bool((rows["number"] % BUCKETS == used % BUCKETS).all()), "a bucket stands where its number says [26]")
    hold_that(bool((rows["lots"] > 0).all()), "a bucket's lots are positive [26]")
    hold_that(bool((rows["lots"] < LOTS_MAX + TRADE_LOTS_MAX).all()), "a bucket is full at its bound [26]")
    limbs = (rows["sum_low"] >= 0) & (rows["sum_low"] <= MAX_ATOMS) & (rows["sum_high"] >= 0)
    hold_that(bool(limbs.all()), "the sum of a bucket is two limbs of 62 bits [26]")
    for row in rows:
        total, lots = (int(row["sum_high"]) << 62) + int(row["sum_low"]), int(row["lots"])
        hold_that(lots <= total <= lots * MAX_ATOMS, "the mean of a bucket is a price [26]")


def _check_breaker_buckets(state: State) -> None:
    table = np.asarray(state.breaker_buckets)
    used = np.flatnonzero(table["high_ticks"])
    rows = table[used]
    hold_that(bool((rows["number"] % BUCKETS == used % BUCKETS).all()), "a bucket stands where its number says [26]")
    ordered = (rows["low_ticks"] > 0) & (rows["low_ticks"] <= rows["high_ticks"])
    hold_that(bool(ordered.all()), "the lowest price of a bucket is not above its highest [26]")


def _check_accounts(state: State) -> None:
    guards, exposures = np.asarray(state.account_guards), np.asarray(state.exposures).reshape(len(state.accounts), -1)
    hold_that(bool((exposures >= 0).all()), "a maximum of what is locked is not negative [26]")
    ruled = (guards["orders_max"] != 0) | (guards["window_ns"] != 0) | exposures.any(axis=1)
    known = np.asarray(state.accounts)["guarded"] == ruled
    hold_that(bool(known.all()), "an account knows whether it is guarded [26]")
    hold_that(bool((guards["orders"] >= 0).all()), "no count of orders is negative [26]")
    kept = (guards["orders"] == 0) | ((guards["window_ns"] != 0) & (guards["orders"] <= guards["orders_max"]))
    hold_that(bool(kept.all()), "no account has sent more orders in its window than it may [26]")
    started = guards["window_start_ts_ns"] <= state.header[0].ts_ns
    hold_that(bool(started.all()), "no window begins later than now [26]")


def _check_keys(state: State) -> None:
    keys = np.asarray(state.keys)
    guarded = int(np.count_nonzero(keys["notional_day_max_atoms"]))
    hold_that(guarded == int(state.header[0].key_guards), "the keys that have a rule are counted [26]")
    hold_that(bool((keys["used_atoms"] >= 0).all()), "no key has used less than nothing [26]")
    idle = (keys["notional_day_max_atoms"] != 0) | ((keys["used_atoms"] == 0) & (keys["asset"] == 0))
    hold_that(bool(idle.all()), "only a key that has a rule uses anything up [26]")


def _check_countdowns(state: State) -> None:
    header = state.header[0]
    count = int(header.countdowns)
    hold_that(0 <= count <= COUNTDOWNS_MAX, "there are no more timers than there may be [26]")
    heap = [tuple(row[:4]) for row in np.asarray(state.countdowns[:count]).tolist()]
    for child in range(1, count):
        hold_that(heap[(child - 1) // 2] < heap[child], "the heap of timers is in order [26]")
    hold_that(len({row[1:] for row in heap}) == count, "there is one timer for an account, symbol and key [26]")
    first = heap[0][0] if heap else 0
    hold_that(first == int(header.countdown_next_ts_ns), "the first timer is known [26]")
