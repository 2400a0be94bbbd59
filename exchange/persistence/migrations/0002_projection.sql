-- What trading looks like from PostgreSQL, as of projection.applied_sequence. The projector alone writes here. Codes are
-- those of exchange/core/codes.py; units are suffixes: ticks, lots, atoms, ns. `event` is the ordinal of an event in the
-- event journal, from 1. `exchange projection rebuild` runs this file again with other schema names.

create schema exchange_order;
create schema exchange_clearing;
create schema exchange_market;

-- How far the projection is. One transaction writes rows and moves this row on, by compare and set.
create table exchange_order.projection (
    only_row         boolean primary key default true check (only_row),
    cluster_id       bytea   not null check (length(cluster_id) = 16),
    first_event      bigint  not null check (first_event >= 1),   -- history begins here: 1, or after a snapshot
    applied_event    bigint  not null check (applied_event >= first_event - 1),
    applied_sequence bigint  not null check (applied_sequence >= 0),
    applied_ts_ns    bigint  not null check (applied_ts_ns >= 0),
    epoch            bigint  not null,                            -- rises with every claim
    owner            text    not null                             -- token of the projector that may write
);

create table exchange_order.assets (
    asset integer  primary key,
    name  text     not null,
    scale smallint not null check (scale between 0 and 18)
);

create table exchange_order.symbols (
    symbol                   integer  primary key,
    name                     text     not null,
    base_asset               integer  not null references exchange_order.assets,
    quote_asset              integer  not null references exchange_order.assets,
    price_scale              smallint not null,
    qty_scale                smallint not null,
    base_atoms_per_lot       bigint   not null,
    quote_atoms_per_tick_lot bigint   not null,
    price_step_ticks         bigint   not null,
    qty_step_lots            bigint   not null,
    maker_fee_ppm            integer  not null,
    taker_fee_ppm            integer  not null
);

-- One row an order, as it stands.
create table exchange_order.orders (
    order_id           bigint   primary key,
    account            integer  not null,
    symbol             integer  not null references exchange_order.symbols,
    side               smallint not null,
    order_type         smallint not null,
    time_in_force      smallint not null,
    stp_mode           smallint not null,
    status             smallint not null check (status between 1 and 6),
    price_ticks        bigint   not null check (price_ticks >= 0),
    qty_lots           bigint   not null check (qty_lots >= 0),        -- filled and not; less what was reduced or prevented
    submitted_lots     bigint   not null check (submitted_lots >= 0),  -- 0: by quote amount
    leaves_lots        bigint   not null check (leaves_lots >= 0),     -- 0: closed
    quote_atoms        bigint   not null check (quote_atoms >= 0),
    filled_lots        bigint   not null check (filled_lots between 0 and qty_lots),
    filled_quote_atoms bigint   not null check (filled_quote_atoms >= 0),
    created_ts_ns      bigint   not null,
    updated_ts_ns      bigint   not null check (updated_ts_ns >= created_ts_ns),
    client_id          text     check (length(client_id) between 1 and 36)
) with (fillfactor = 85);
create index orders_account on exchange_order.orders (account, symbol, order_id);
create index orders_created on exchange_order.orders (created_ts_ns, order_id);

create table exchange_clearing.balances (
    account   integer not null,
    asset     integer not null references exchange_order.assets,
    available bigint  not null check (available >= 0 or account = 0),
    locked    bigint  not null check (locked >= 0),
    primary key (account, asset)
) with (fillfactor = 70);

-- The ledger: an entry is what one event did, its postings are who had what changed. Per entry and asset the postings
-- sum to zero, except for an entry of kind 0, the opening balances of a history that begins after a snapshot.
create table exchange_clearing.entries (
    event          bigint   not null,
    ts_ns          bigint   not null,
    sequence       bigint   not null,
    kind           smallint not null,             -- EventKind; 0: opening balance
    command_kind   smallint not null,             -- CommandKind that caused it; PLACE for trades
    symbol         integer  not null,             -- 0: none
    order_id       bigint   not null,             -- the taker's for trades; 0: none
    maker_order_id bigint   not null,             -- 0: none
    trade_id       bigint   not null,             -- 0: none
    transfer_id    bigint   not null,             -- 0: none
    primary key (event, ts_ns)
) partition by range (ts_ns);
create index entries_order on exchange_clearing.entries (order_id, event) where order_id > 0;
create index entries_maker_order on exchange_clearing.entries (maker_order_id, event) where maker_order_id > 0;

create table exchange_clearing.postings (
    account         integer not null,
    asset           integer not null,
    event           bigint  not null,
    ts_ns           bigint  not null,
    available_delta bigint  not null,
    locked_delta    bigint  not null check (available_delta <> 0 or locked_delta <> 0),
    primary key (account, asset, ts_ns, event)    -- in the order of time: history walks it
) partition by range (ts_ns);

create table exchange_market.trades (
    symbol          integer  not null,
    trade_id        bigint   not null check (trade_id >= 1),
    ts_ns           bigint   not null,
    event           bigint   not null,
    sequence        bigint   not null,
    side            smallint not null,            -- the taker's
    price_ticks     bigint   not null check (price_ticks > 0),
    qty_lots        bigint   not null check (qty_lots > 0),
    quote_atoms     bigint   not null check (quote_atoms > 0),
    taker_account   integer  not null,
    maker_account   integer  not null,
    taker_order_id  bigint   not null,
    maker_order_id  bigint   not null,
    taker_fee_atoms bigint   not null check (taker_fee_atoms >= 0),
    maker_fee_atoms bigint   not null check (maker_fee_atoms >= 0),
    primary key (symbol, trade_id, ts_ns)
) partition by range (ts_ns);
create index trades_taker on exchange_market.trades (taker_account, symbol, trade_id);
create index trades_maker on exchange_market.trades (maker_account, symbol, trade_id);
create index trades_taker_order on exchange_market.trades (taker_order_id, trade_id);
create index trades_maker_order on exchange_market.trades (maker_order_id, trade_id);

-- Fills of one command at one price, which market data shows as one. Ids are gapless from 1 per symbol.
create table exchange_market.agg_trades (
    symbol      integer  not null,
    agg_id      bigint   not null check (agg_id >= 1),
    ts_ns       bigint   not null,
    side        smallint not null,                -- the taker's
    price_ticks bigint   not null,
    qty_lots    bigint   not null,
    first_id    bigint   not null,
    last_id     bigint   not null check (last_id >= first_id),
    primary key (symbol, agg_id, ts_ns)
) partition by range (ts_ns);
create index agg_trades_time on exchange_market.agg_trades (symbol, ts_ns, agg_id);

-- Candles that had a trade; the quiet ones between them are made when they are read. `span` is an index into INTERVALS
-- of exchange/persistence/intervals.py.
create table exchange_market.candles (
    symbol                integer  not null,
    span                  smallint not null,
    open_ts_ns            bigint   not null,
    open_ticks            bigint   not null,
    high_ticks            bigint   not null,
    low_ticks             bigint   not null,
    close_ticks           bigint   not null,
    volume_lots           numeric  not null check (volume_lots > 0),   -- numeric: sums may pass 2^63
    quote_atoms           numeric  not null,
    trades                bigint   not null check (trades > 0),
    taker_buy_lots        numeric  not null,
    taker_buy_quote_atoms numeric  not null,
    primary key (symbol, span, open_ts_ns),
    check (low_ticks <= least(open_ticks, close_ticks) and high_ticks >= greatest(open_ticks, close_ticks))
) with (fillfactor = 70);
