-- The number of a key in the engine: in orders, rules and mass cancels. Keys from before get one when they are next seen.
-- The symbols that its new orders may be on, as the engine spells them; none: all.
alter table exchange_user.api_keys
    add column number  integer check (number > 0),
    add column symbols text[]  not null default '{}';
