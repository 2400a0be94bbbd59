-- People: truth, not a projection. Secrets never lie here in the clear: passwords as argon2id hashes, tokens and codes as
-- digests, HMAC secrets and TOTP seeds under AES-256-GCM with a key that is not in the database.

create table exchange_user.users (
    user_id                 bigint      primary key generated always as identity,
    account                 integer     not null unique check (account >= 16),   -- the engine's; never used twice
    email                   text        unique check (email = lower(email collate "C") and length(email) between 3 and 254),
    password_hash           text,
    status                  text        not null check (status in ('pending', 'active', 'disabled', 'orphaned')),
    totp_sealed             bytea,
    totp_enabled            boolean     not null default false check (not totp_enabled or totp_sealed is not null),
    totp_last_step          bigint      not null default 0,
    kyc_level               smallint    not null default 0 check (kyc_level between 0 and 9),
    kyc_status              text        not null default 'none' check (kyc_status in ('none', 'pending', 'approved', 'rejected')),
    kyc_reference           text        unique,
    withdrawals_frozen_until timestamptz,
    created_at              timestamptz not null default now(),
    password_changed_at     timestamptz not null default now(),
    check (status in ('orphaned') or (email is not null and password_hash is not null))
);

create table exchange_user.sessions (
    digest     bytea       primary key check (length(digest) = 32),
    user_id    bigint      not null references exchange_user.users,
    address    text        not null,
    created_at timestamptz not null,
    used_at    timestamptz not null,              -- to the minute
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index sessions_user on exchange_user.sessions (user_id) where revoked_at is null;
create index sessions_expiry on exchange_user.sessions (expires_at);

-- Devices that an owner has logged in from: what strangers do to an account does not slow them.
create table exchange_user.devices (
    digest     bytea       primary key check (length(digest) = 32),
    user_id    bigint      not null references exchange_user.users,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index devices_user on exchange_user.devices (user_id);
create index devices_expiry on exchange_user.devices (expires_at);

create table exchange_user.recovery_codes (
    user_id bigint      not null references exchange_user.users,
    digest  bytea       not null check (length(digest) = 32),
    used_at timestamptz,
    primary key (user_id, digest)
);

create table exchange_user.reset_tokens (
    digest     bytea       primary key check (length(digest) = 32),
    user_id    bigint      not null references exchange_user.users,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index reset_tokens_user on exchange_user.reset_tokens (user_id);
create index reset_tokens_expiry on exchange_user.reset_tokens (expires_at);

create table exchange_user.api_keys (
    api_key       text        primary key check (length(api_key) between 16 and 128),
    account       integer     not null references exchange_user.users (account),
    kind          text        not null check (kind in ('HMAC', 'ED25519')),
    sealed_secret bytea       check ((kind = 'HMAC') = (sealed_secret is not null)),
    public_key    bytea       check ((kind = 'ED25519') = (public_key is not null)),
    permissions   text[]      not null check (permissions <@ array['read', 'trade', 'withdraw']),
    addresses     text[]      not null,               -- networks; none: from anywhere
    label         text        not null check (length(label) <= 64),
    created_at    timestamptz not null,
    expires_at    timestamptz,
    revoked_at    timestamptz
);
create index api_keys_account on exchange_user.api_keys (account);

-- What operators did to people and keys.
create table exchange_admin.audit (
    audit_id bigint      primary key generated always as identity,
    at       timestamptz not null default now(),
    actor    text        not null,
    action   text        not null,
    subject  text        not null,
    detail   jsonb       not null default '{}'
);
