"""Settings: every rule of the table refuses what it says it refuses, with one sentence that names the variable."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from exchange.settings import SETTINGS, SettingError, Settings, load, table

SECRETS = {
    "INTERNAL_TOKEN": "0123456789abcdef",
    "AUTH_TOKEN_SECRET": "fedcba9876543210",
    "EXCHANGE_MASTER_KEY": "0f" * 32,
}

WRONG = {
    "SERVICE_NAME": ["a b", "x" * 65, "é"],
    "HTTP_PORT": ["-1", "65536", "http", "8_080", "٨٠", "1e3", " 80", "+80"],
    "WS_PORT": ["-1", "65536", "0x1F"],
    "INTERNAL_TOKEN": ["short", "has a blank in it", "ünïcödé-secret-secret"],
    "AUTH_TOKEN_SECRET": ["fifteen-letters"],
    "AUTH_TOKEN_TTL": ["1s", "forever", "1.5h", "-1h", "999999h"],
    "EXCHANGE_DATA_DIR": ["a\0b"],
    "EXCHANGE_HOST": ["127.0.0.1/24", "a host"],
    "EXCHANGE_SYNC": ["yes", "ALWAYS", "on", "0"],
    "EXCHANGE_SEGMENT_BYTES": ["0", "65535", "65537", "64MiB"],
    "EXCHANGE_RING_SLOTS": ["63", "100", "8388608"],
    "EXCHANGE_SNAPSHOT_EVERY": ["0", "-5"],
    "EXCHANGE_SNAPSHOT_INTERVAL": ["0s", "10 m"],
    "EXCHANGE_HASH_EVERY": ["0"],
    "EXCHANGE_HASH_INTERVAL": ["0"],
    "EXCHANGE_DEPTH_INTERVAL": ["1ms", "2m"],
    "EXCHANGE_STOP_TIMEOUT": ["0", "601"],
    "EXCHANGE_ORDER_TIMEOUT": ["10d"],
    "EXCHANGE_BODY_BYTES": ["1023", "1048577"],
    "EXCHANGE_BODY_TIMEOUT": ["0", "61s"],
    "EXCHANGE_KEEPALIVE_TIMEOUT": ["0ms", "2h"],
    "EXCHANGE_CONNECTIONS_MAX": ["0", "100001"],
    "EXCHANGE_NUMBA_CACHE": ["a\nb"],
    "DB_HOST": ["a\tb"],
    "DB_PORT": ["0", "70000"],
    "DB_USER": ["a\x7f"],
    "DB_PASSWORD": ["a\nb"],
    "DB_NAME": ["x" * 256],
    "DB_SSL_MODE": ["on", "TRUE"],
    "DB_MAX_OPEN_CONNS": ["0", "many"],
    "DB_MAX_IDLE_CONNS": ["-1"],
    "DB_CONN_MAX_LIFETIME": ["30 minutes"],
    "DB_CONN_MAX_IDLE_TIME": ["5x"],
    "EXCHANGE_DATABASE": ["yes", "OFF"],
    "EXCHANGE_PG_BIN": ["a\nb"],
    "EXCHANGE_HISTORY_TIMEOUT": ["0", "2m"],
    "EXCHANGE_PROJECTION_EVENTS": ["0", "1000001"],
    "EXCHANGE_EVENTS_KEEP": ["never", "-1h", "101 years"],
    "EXCHANGE_MASTER_KEY": ["00", "0g" * 32, "0f" * 33],
    "EXCHANGE_SESSION_IDLE": ["1s"],
    "EXCHANGE_UNRESTRICTED_KEY_TTL": ["1m"],
    "EXCHANGE_TRUSTED_PROXIES": ["localhost", "10.0.0.1/8", "10.0.0.0/33"],
    "EXCHANGE_WEIGHT_PER_MINUTE": ["-1", "none", "1000000001"],
    "EXCHANGE_RAW_REQUESTS_PER_5M": ["-1", "1e5"],
    "EXCHANGE_ORDERS_PER_10S": ["-1", "10/s"],
    "EXCHANGE_ORDERS_PER_DAY": ["-1", "many"],
    "EXCHANGE_WS_CONNECTIONS_PER_5M": ["-1", "0x10"],
    "EXCHANGE_KYC_PROVIDER": ["none"],
    "EXCHANGE_KYC_URL": ["ftp://kyc", "https://a b"],
    "EXCHANGE_KYC_SECRET": ["short"],
    "REDIS_ADDR": ["a\nb"],
    "WORKER_ID": ["a\nb"],
}  # fmt: skip


def test_defaults_of_the_table_are_what_an_empty_environment_gives() -> None:
    settings = load({}, demo=True)
    assert (settings.http_port, settings.ws_port, settings.host) == (8080, 8094, "127.0.0.1")
    assert settings.data_dir == pathlib.Path("var")
    assert settings.sync == "always"
    assert settings.keepalive_timeout_s == 15
    assert settings.body_bytes == 16 * 1024


def test_table_has_a_wrong_value_for_every_setting() -> None:
    assert set(WRONG) == {setting.name for setting in SETTINGS}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_value_is_one_sentence_with_variable_value_and_rule(name: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({**SECRETS, name: value}, demo=False)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} must be ")
    assert sentence.endswith(" is not.")
    setting = next(setting for setting in SETTINGS if setting.name == name)
    assert (repr(value) in sentence) is not setting.secret


def test_secrets_missing_outside_demo_mode_are_refused() -> None:
    for missing in SECRETS:
        with pytest.raises(SettingError, match=f"^{missing} is not set"):
            load({name: value for name, value in SECRETS.items() if name != missing}, demo=False)


def test_secrets_missing_in_demo_mode_are_drawn_anew_each_time() -> None:
    one, two = load({}, demo=True), load({}, demo=True)
    assert len(one.internal_token) >= 32
    assert len({one.internal_token, two.internal_token, one.auth_token_secret, two.auth_token_secret}) == 4


def test_same_port_twice_is_refused_but_two_free_ports_are_not() -> None:
    with pytest.raises(SettingError, match=r"^WS_PORT must be another port"):
        load({"HTTP_PORT": "9000", "WS_PORT": "9000"}, demo=True)
    assert load({"HTTP_PORT": "0", "WS_PORT": "0"}, demo=True).ws_port == 0


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("15", 15), ("15s", 15), ("2m", 120), ("1h", 3600)])
def test_duration_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert load({"EXCHANGE_KEEPALIVE_TIMEOUT": text}, demo=True).keepalive_timeout_s == pytest.approx(seconds)


def test_names_without_meaning_and_unknown_names_are_noted() -> None:
    notes = load({"REDIS_ADDR": "r:1", "WORKER_ID": "3", "EXCHANGE_SNYC": "off", "DB_NAME": "db"}, demo=True).notes
    assert [note.split()[0] for note in notes] == ["REDIS_ADDR", "WORKER_ID", "DB_HOST", "EXCHANGE_SNYC"]


def test_webhook_provider_needs_its_address_and_secret() -> None:
    provider = {"EXCHANGE_KYC_PROVIDER": "webhook", "EXCHANGE_KYC_URL": "https://kyc.example/start"}
    with pytest.raises(SettingError, match=r"^EXCHANGE_KYC_URL and EXCHANGE_KYC_SECRET must be set"):
        load(provider, demo=True)
    assert load({**provider, "EXCHANGE_KYC_SECRET": "s" * 16}, demo=True).kyc_url == "https://kyc.example/start"


def test_rate_limits_are_enforced_but_in_a_demo_that_sets_none() -> None:
    assert load(SECRETS, demo=False).limits_enforced
    assert not load({}, demo=True).limits_enforced
    assert load({"EXCHANGE_ORDERS_PER_10S": "50"}, demo=True).limits_enforced
    assert load({"EXCHANGE_WS_CONNECTIONS_PER_5M": "0"}, demo=True).limits_enforced


def test_data_dir_option_wins_over_the_environment(tmp_path: pathlib.Path) -> None:
    assert load({"EXCHANGE_DATA_DIR": "/elsewhere"}, demo=True, data_dir=tmp_path).data_dir == tmp_path


def test_every_field_of_settings_comes_from_one_line_of_the_table() -> None:
    fields = [setting.field for setting in SETTINGS if setting.field]
    assert len(fields) == len(set(fields))
    assert {*fields, "demo", "limits_enforced", "notes"} == {field.name for field in dataclasses.fields(Settings)}
    assert len(table()) == len(SETTINGS)
