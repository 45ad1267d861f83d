"""A lock of one program on an open file, which the system releases when the program ends.

On POSIX systems it belongs to the open file: another opening of the same file in this process counts as another holder.
On Windows it is on a byte far behind the contents, because others may not even read what is locked there.
"""

from __future__ import annotations

import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt

    _PLACE = 0x7FFF_0000

    def try_lock(descriptor: int) -> bool:
        """Try to take the lock and return whether that succeeded; raises OSError where there are no locks."""
        return _at_its_place(descriptor, msvcrt.LK_NBLCK)

    def unlock(descriptor: int) -> None:
        """Give the lock back."""
        _at_its_place(descriptor, msvcrt.LK_UNLCK)

    def _at_its_place(descriptor: int, act: int) -> bool:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, act, 1)
        except OSError as error:
            return _is_free(error)
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Try to take the lock and return whether that succeeded; raises OSError where there are no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return _is_free(error)
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock back: closing is not enough while a forked process has the file too."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _is_free(error: OSError) -> bool:
    """Return False for the error of a lock that another process holds; raise any other. Wine gives no number."""
    if error.errno in (0, errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
        return False
    raise error
