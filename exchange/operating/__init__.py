"""What operators do to the venue itself: switches, rules, auctions, and who may do it alone or only with another."""
