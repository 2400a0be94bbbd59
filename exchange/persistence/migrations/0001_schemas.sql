-- The schemas. exchange_user and exchange_admin are truth; exchange_order, exchange_clearing and exchange_market are a
-- projection of the event journal and can be dropped and rebuilt (`exchange projection rebuild`). exchange_wallet is kept
-- for deposits and withdrawals, which do not exist yet.

create schema exchange_user;
create schema exchange_admin;
create schema exchange_wallet;
