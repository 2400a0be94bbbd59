-- The symbols that the new orders of a key may be on, as the engine spells them; none: all.
alter table exchange_user.api_keys add column symbols text[] not null default '{}';
