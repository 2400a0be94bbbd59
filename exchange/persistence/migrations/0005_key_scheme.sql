-- What the signatures of a key cover: `plain` the parameters, as Binance has it; `strict` the whole request, and nothing
-- else counts for that key. Keys from before are plain.
alter table exchange_user.api_keys
    add column scheme text not null default 'plain' check (scheme in ('plain', 'strict'));
