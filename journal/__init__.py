"""A segmented, checksummed, hash-chained log of fixed-size records; knows nothing of what the records mean.

`docs/journal.md` describes the files and how damage is judged. Modules: `format` (bytes), `storage` (files), `segments`
(create, list, retire), `scan` (what is intact), `recovery` (what to do about the rest), `writer`, `reader`, `repair`.
"""
