"""Numbers of the connections of this process, whichever client opened them."""

from __future__ import annotations

import itertools

numbers = itertools.count()
