"""One blob from a registry into a reception: taken up where it broke off, checked, within its size.

It begins on one connection. When that turns out to take long, several go on, if the registry can send parts.
An attempt that brought bytes doesn't count against the limit: a line that breaks every minute still brings
the blob, in the end.
"""

from __future__ import annotations

import time

from lodge.distribution.contract import Arrival, Reception, Unpacked
from lodge.distribution.ranged import SEGMENT, NoRanges, Ranged
from lodge.distribution.registries import Places
from lodge.distribution.transfers import DOWNLOADED, DOWNLOADING, RETRYING, VERIFYING, Transfer
from lodge.distribution.transport import Broken, pause
from lodge.errors import Corrupt
from lodge.spec.descriptor import Descriptor

_PIECE = 256 << 10
_WORTH = 4 * SEGMENT
"""Bytes that must be left for more connections to be worth their set-up."""
_TRIAL = 1.0
"""Seconds after which it is known how fast one connection is."""
_LONG = 2.0
"""Seconds that the rest must still take at that pace."""


def download(
    places: Places,
    descriptor: Descriptor,
    reception: Reception,
    transfer: Transfer,
    *,
    unpack: bool,
    attempts: int,
) -> Unpacked | None:
    """Bring a blob in, and unpack it on the way if it is a layer to be unpacked.

    Raises what the registry's refusal means, Broken after `attempts` that brought nothing, Corrupt for other
    bytes than the descriptor's, Exhausted on a full disk, Aborted. What has arrived is kept for the next try.
    """
    with reception.receive(descriptor, unpack=unpack) as arrival:
        work = _Download(places, descriptor, arrival, transfer)
        kept = arrival.offset() > 0
        while True:
            work.complete(attempts)
            transfer.tell(VERIFYING)
            try:
                unpacked = arrival.finish()
                break
            except Corrupt:
                # Another place may have the right bytes, and what was kept of an earlier attempt may be it.
                if reception.has_blob(descriptor.id) or not (kept or places.forsake()):
                    raise
                kept = False
                arrival.restart()
    transfer.tell(DOWNLOADED)
    return unpacked


class _Download:
    """The bytes of one blob, over one connection or several."""

    def __init__(self, places: Places, blob: Descriptor, arrival: Arrival, transfer: Transfer) -> None:
        self._places = places
        self._blob = blob
        self._arrival = arrival
        self._transfer = transfer
        self._several = False

    def complete(self, attempts: int) -> None:
        """Read until all is here; Broken after `attempts` in a row that brought nothing."""
        failures = 0
        while self._arrival.offset() < self._blob.size:
            before = self._arrival.offset()
            try:
                self._go_on()
            except Broken:
                failures = 1 if self._arrival.offset() > before else failures + 1
                if failures >= attempts:
                    raise
                self._transfer.tell(RETRYING)
                pause(failures, self._transfer.abort)

    def _go_on(self) -> None:
        if self._several:
            try:
                self._in_parallel()
            except NoRanges:
                self._several = False
        else:
            self._in_one()

    def _in_one(self) -> None:
        """Read over one connection, for as long as that is a good way."""
        arrival, size = self._arrival, self._blob.size
        with self._places.blob(self._blob.id, size, start=arrival.offset()) as stream:
            if stream.start != arrival.offset():
                arrival.restart()
            before = done = arrival.offset()
            waited = 0.0
            self._transfer.tell(DOWNLOADING, done, size)
            while done < size:
                begin = time.monotonic()
                if not (piece := stream.read(_PIECE)):
                    break
                # Only waiting for the line counts: more connections are no help to a slow disk.
                waited += time.monotonic() - begin
                arrival.write(piece)
                done += len(piece)
                self._transfer.tell(DOWNLOADING, done, size, every=False)
                worth = stream.ranged and size - done >= _WORTH and waited > _TRIAL
                if worth and (size - done) * waited > (done - before) * _LONG:
                    self._several = True
                    return

    def _in_parallel(self) -> None:
        arrival, size = self._arrival, self._blob.size
        ranged = Ranged(self._places, self._blob, arrival.offset(), self._transfer.abort)
        try:
            for piece in ranged:
                arrival.write(piece)
                self._transfer.tell(DOWNLOADING, arrival.offset(), size, every=False)
        finally:
            ranged.close()
