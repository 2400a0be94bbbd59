"""The registry of every field of a record that stands in a journal. A line here is never changed and never removed.

One line was changed once: fields of PLACE that were reserved and zero in every journal got their meanings.
"""

LAYOUTS: dict[str, str] = {
    "ANY": "HEAD",
    "PLACE": (
        "HEAD side:u1@18 order_type:u1@19 time_in_force:u1@20 stp_mode:u1@21 list_role:u1@22 peg_type:u1@23 "
        "account:i4@24 symbol:i4@28 price_ticks:i8@32 qty_lots:i8@40 quote_atoms:i8@48 expire_ts_ns:i8@56 "
        "stop_price_ticks:i8@64 iceberg_lots:i8@72 key:i4@80 trailing_bips:i2@88 peg_offset_levels:i2@90 CLIENT_ID"
    ),
    "TARGET": "HEAD account:i4@24 symbol:i4@28 order_id:i8@32 qty_lots:i8@40 CLIENT_ID",
    "LIST": "HEAD list_type:u1@18 account:i4@24 symbol:i4@28 CLIENT_ID",
    "SWEEP": "HEAD scope:u1@18 account:i4@24 symbol:i4@28 key:i4@32",
    "COUNTDOWN": "HEAD account:i4@24 symbol:i4@28 key:i4@32 countdown_ns:i8@40",
    "TRANSFER": "HEAD account:i4@24 asset:i4@28 transfer_id:i8@32 amount_atoms:i8@40",
    "ASSET": "HEAD scale:u1@18 asset:i4@28 name_0:i8@112 name_1:i8@120",
    "SYMBOL": (
        "HEAD price_scale:u1@18 qty_scale:u1@19 symbol:i4@28 base_asset:i4@32 quote_asset:i4@36 "
        "price_min_ticks:i8@40 price_max_ticks:i8@48 qty_min_lots:i8@56 qty_max_lots:i8@64 "
        "notional_min_atoms:i8@72 notional_max_atoms:i8@80 price_step_ticks:i4@88 qty_step_lots:i4@92 "
        "orders_max:i4@96 maker_fee_ppm:i4@100 taker_fee_ppm:i4@104 name_0:i8@112 name_1:i8@120"
    ),
    "ACCOUNT": "HEAD account:i4@24 maker_fee_ppm:i4@32 taker_fee_ppm:i4@36",
    "MODE": "HEAD scope:u1@18 mode:u1@19 account:i4@24 symbol:i4@28",
    "RULE": "HEAD scope:u1@18 rule:u1@19 account:i4@24 symbol:i4@28 value:i8@32 asset:i4@40 key:i4@44",
    "AUCTION": "HEAD action:u1@18 symbol:i4@28 end_ts_ns:i8@32",
    "SKIP": "HEAD at_sequence:i8@32 name_0:i8@112 name_1:i8@120",
    "LIMIT": "HEAD limit:u1@18 value:i8@32",
    "HASH": "HEAD at_sequence:i8@32 hash_0:i8@40 hash_1:i8@48",
    "ORDER_EVENT": (
        "HEAD reject:u1@18 reason:u1@19 side:u1@20 order_type:u1@21 time_in_force:u1@22 stp_mode:u1@23 "
        "account:i4@24 symbol:i4@28 order_id:i8@32 price_ticks:i8@40 qty_lots:i8@48 quote_atoms:i8@56 "
        "hold_delta_atoms:i8@64 filled_lots:i8@72 filled_quote_atoms:i8@80 command_kind:u1@88 status:u1@89 "
        "CLIENT_ID"
    ),
    "TRADE": (
        "HEAD side:u1@18 symbol:i4@24 taker_account:i4@28 maker_account:i4@32 taker_order_id:i8@40 "
        "maker_order_id:i8@48 trade_id:i8@56 price_ticks:i8@64 qty_lots:i8@72 quote_atoms:i8@80 "
        "taker_fee_atoms:i8@88 maker_fee_atoms:i8@96 taker_leaves_lots:i8@104 maker_leaves_lots:i8@112 "
        "taker_release_atoms:i8@120"
    ),
    "PREVENTED": (
        "HEAD side:u1@18 stp_mode:u1@19 symbol:i4@24 account:i4@28 maker_account:i4@32 taker_order_id:i8@40 "
        "maker_order_id:i8@48 price_ticks:i8@64 taker_prevented_lots:i8@72 maker_prevented_lots:i8@80 "
        "taker_release_atoms:i8@88 maker_release_atoms:i8@96 taker_leaves_lots:i8@104 maker_leaves_lots:i8@112"
    ),
    "ORDER_TERMS": (
        "HEAD list_role:u1@18 peg_type:u1@19 stage:u1@20 account:i4@24 symbol:i4@28 order_id:i8@32 "
        "stop_price_ticks:i8@40 iceberg_lots:i8@48 list_id:i8@56 expire_ts_ns:i8@64 trailing_bips:i2@72 "
        "peg_offset_levels:i2@74 key:i4@76"
    ),
    "LIST_EVENT": (
        "HEAD list_type:u1@18 list_status:u1@19 account:i4@24 symbol:i4@28 list_id:i8@32 order_id_0:i8@40 "
        "order_id_1:i8@48 order_id_2:i8@56 CLIENT_ID"
    ),
    "MASS_CANCELED": "HEAD scope:u1@18 more:u1@19 account:i4@24 symbol:i4@28 key:i4@32 canceled_count:i8@40",
    "COUNTDOWN_EVENT": "HEAD account:i4@24 symbol:i4@28 key:i4@32 countdown_ns:i8@40 due_ts_ns:i8@48",
    "AUCTION_EVENT": (
        "HEAD symbol:i4@28 end_ts_ns:i8@32 price_ticks:i8@40 qty_lots:i8@48 imbalance_lots:i8@56 "
        "trades_count:i8@64 low_ticks:i8@72 high_ticks:i8@80"
    ),
    "TRANSFER_EVENT": (
        "HEAD command_kind:u1@18 transfer_state:u1@19 account:i4@24 asset:i4@28 transfer_id:i8@32 amount_atoms:i8@40"
    ),
    "CANCELED_ALL": "HEAD account:i4@24 symbol:i4@28 canceled_count:i8@32",
    "TICKED": "HEAD expired_count:i8@32",
}
"""Record -> its fields as name:type@offset."""

SHARED = {
    "HEAD": "sequence:i8@0 ts_ns:i8@8 kind:u1@16 flags:u1@17",
    "CLIENT_ID": "client_id_0:i4@92 client_id_1:i8@96 client_id_2:i8@104 client_id_3:i8@112 client_id_4:i8@120",
}
