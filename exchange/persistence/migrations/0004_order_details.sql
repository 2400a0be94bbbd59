-- What happens to an order beside its fills, one row an event, and the way from a client id to an order. Part of the
-- projection: `exchange projection rebuild` runs this file, after 0002, with other schema names.

-- ORDER_REDUCED: a smaller quantity, the same place in the queue.
create table exchange_order.amendments (
    order_id     bigint  not null,
    sequence     bigint  not null,                                  -- its execution id: a REDUCE gives one event
    event        bigint  not null,
    ts_ns        bigint  not null,
    account      integer not null,
    symbol       integer not null,
    old_qty_lots bigint  not null,                                  -- filled and not
    new_qty_lots bigint  not null check (new_qty_lots > 0 and new_qty_lots < old_qty_lots),
    primary key (order_id, sequence)
);

-- PREVENTED: a match that self-trade prevention stopped. Both orders are the account's.
create table exchange_order.prevented_matches (
    event                bigint   primary key,
    ts_ns                bigint   not null,
    sequence             bigint   not null,
    account              integer  not null,
    symbol               integer  not null,
    side                 smallint not null,                         -- the taker's
    stp_mode             smallint not null,                         -- the taker's
    taker_order_id       bigint   not null,
    maker_order_id       bigint   not null,
    price_ticks          bigint   not null check (price_ticks > 0), -- the maker's
    taker_prevented_lots bigint   not null check (taker_prevented_lots >= 0),
    maker_prevented_lots bigint   not null check (maker_prevented_lots >= 0),
    taker_leaves_lots    bigint   not null check (taker_leaves_lots >= 0),   -- after it; 0: it ended this order
    maker_leaves_lots    bigint   not null check (maker_leaves_lots >= 0)
);
create index prevented_matches_taker on exchange_order.prevented_matches (taker_order_id, event);
create index prevented_matches_maker on exchange_order.prevented_matches (maker_order_id, event);

create index orders_client on exchange_order.orders (account, client_id, symbol, order_id) where client_id is not null;

-- Both tables have every event from details_from on. A projection that is older than they are gets what is missing from
-- the event journal, newest first, as far as that reaches back; then details_filled says so. Whoever wrote before this
-- file may not write any more: he would leave rows out.
alter table exchange_order.projection
    add column details_from   bigint,
    add column details_filled boolean not null default true;
update exchange_order.projection
set details_from = applied_event + 1, details_filled = applied_event < first_event, epoch = epoch + 1, owner = '';
alter table exchange_order.projection
    alter column details_from set not null,
    add check (details_from >= first_event);
