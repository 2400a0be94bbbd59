-- What orders have beyond plain ones: stops, icebergs, pegs, lists; why an order closed, and when it went to work.
-- Part of the projection: `exchange projection rebuild` runs this file, after 0004, with other schema names.

alter table exchange_order.orders
    add column stop_price_ticks  bigint   not null default 0 check (stop_price_ticks >= 0),
    add column iceberg_lots      bigint   not null default 0 check (iceberg_lots >= 0),
    add column trailing_bips     smallint not null default 0,
    add column peg_type          smallint not null default 0,
    add column peg_offset_levels smallint not null default 0,
    add column list_id           bigint   not null default 0,   -- 0: it is in no list
    add column list_role         smallint not null default 0,
    add column close_reason      smallint not null default 0,   -- CloseReason; 0: open, filled, or ended in a match
    add column waits             smallint not null default 0,   -- how often it has yet to enter before it works
    add column working_ts_ns     bigint   not null default 0,   -- when it went to work; 0: it has not
    drop constraint orders_status_check,
    add check (status between 1 and 7);

-- The orders of earlier builds all went to work at once, and how they ended says why.
update exchange_order.orders set
    working_ts_ns = created_ts_ns,
    close_reason = case when status = 4 then 1                  -- CANCELED
                        when status <> 5 then 0
                        when order_type = 2 then 4              -- EXPIRED: a MARKET order that found no more
                        when time_in_force = 2 then 2           -- IOC
                        when time_in_force = 3 then 3           -- FOK
                        else 5 end;                             -- GTD

-- A prevented match may be of two accounts, of one trade group.
alter table exchange_order.prevented_matches add column maker_account integer;
update exchange_order.prevented_matches set maker_account = account;
alter table exchange_order.prevented_matches alter column maker_account set not null;

create table exchange_order.order_lists (
    list_id       bigint   primary key,
    event         bigint   not null,                            -- that began it; 0: it is older than the history
    account       integer  not null,
    symbol        integer  not null references exchange_order.symbols,
    list_type     smallint not null,
    list_status   smallint not null check (list_status between 1 and 2),
    order_id_0    bigint   not null,                            -- the legs in order; 0: there is none
    order_id_1    bigint   not null,
    order_id_2    bigint   not null,
    created_ts_ns bigint   not null,
    updated_ts_ns bigint   not null check (updated_ts_ns >= created_ts_ns),
    client_id     text     check (length(client_id) between 1 and 36)
);
create index order_lists_account on exchange_order.order_lists (account, list_id);
create index order_lists_client on exchange_order.order_lists (account, client_id, list_id)
    where client_id is not null;
create index order_lists_created on exchange_order.order_lists (created_ts_ns, list_id);

-- Whoever wrote before this file may not write any more: he would leave columns out.
update exchange_order.projection set epoch = epoch + 1, owner = '';
