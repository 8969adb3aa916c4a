"""Ask the kernel for short turns on the CPU, and so for early ones: a read that waits for a CPU is stamped late.

Linux 6.12 and later give a task with short slices its turn sooner, and no more time in total. Older kernels take the
request without effect. On two busy cores this halved the median error of the stamps.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call; Python has no function for it."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQII")
"""Size, policy, flags, nice, priority, slice (ns), and four that only other policies use."""
_SLICE_NS = 100_000
"""The shortest slice that the kernel gives."""


def take_short_turns() -> bool:
    """Ask for this thread; return True if the system took the request."""
    call = _SCHED_SETATTR.get(platform.machine())
    if not sys.platform.startswith("linux") or call is None:
        return False
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, 0, 0, _SLICE_NS, 0, 0, 0, 0)
    return int(ctypes.CDLL(None).syscall(call, 0, ctypes.create_string_buffer(attributes), 0)) == 0
