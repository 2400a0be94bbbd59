"""Tests of exchange.marketdata."""
