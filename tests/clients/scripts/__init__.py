"""One program per client library: how to point it at an exchange, and a day of two traders with it.

Run by the tests in the library's own environment, from the root of the repository; see tests/clients/driving.py.
"""
