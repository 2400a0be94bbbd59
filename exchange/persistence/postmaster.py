"""What becomes the PostgreSQL server: gives up root, asks to end with its parent, and is replaced by the program.

Run as a script of its own (`python -I -S postmaster.py UID GID PARENT PROGRAM ARGUMENT...`), so that nothing of ours
runs between fork and exec of a process with threads. UID -1 keeps the user. The request to end comes after the change
of user, which would clear it; the look at the parent after the request, so that a parent that went meanwhile counts.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

uid, gid, parent = (int(argument) for argument in sys.argv[1:4])
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
if os.getppid() != parent:
    sys.exit(f"the parent {parent} is gone")
os.execv(sys.argv[4], sys.argv[4:])
