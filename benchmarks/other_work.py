"""How busy other programs kept the cores while a benchmark ran: what its clock is worth."""

import os
import time

# Fields of the first line of /proc/stat: what idles, and guest, which user and nice hold already.
_IDLE, _IOWAIT, _GUEST = 3, 4, 8


class OtherWork:
    """Counts from its making on. Linux; elsewhere nothing is known."""

    def __init__(self) -> None:
        self._began = _now()

    def cores(self, unwaited: float = 0.0) -> float | None:
        """Returns how many cores others kept busy on average: 0 is a quiet machine.

        The processes that this one started count as its own once they have been waited for.

        Args:
            unwaited: seconds of CPU of its own that nobody waited for.
        """
        now = _now()
        if now is None or self._began is None:
            return None
        clock, all_, own = (after - before for after, before in zip(now, self._began, strict=True))
        return max(all_ - own - unwaited, 0.0) / max(clock, 1e-9)


def _now() -> tuple[float, float, float] | None:
    """Returns seconds of the clock, of all that ran on the CPU, and of this process."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(field) for field in file.readline().split()[1:]]
    except OSError:
        return None
    busy = sum(ticks[:_GUEST]) - ticks[_IDLE] - ticks[_IOWAIT]
    return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])
