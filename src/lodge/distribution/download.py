"""One blob from a registry into a reception: taken up where it broke off, checked, within its size.

An attempt that brought bytes doesn't count against the limit: a line that breaks every minute still brings
the blob, in the end.
"""

from __future__ import annotations

from lodge.distribution.contract import Arrival, Reception, Unpacked
from lodge.distribution.registries import Places
from lodge.distribution.transfers import DOWNLOADED, DOWNLOADING, RETRYING, VERIFYING, Transfer
from lodge.distribution.transport import Broken, pause
from lodge.spec.descriptor import Descriptor

_PIECE = 256 << 10


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
        failures = 0
        while arrival.offset() < descriptor.size:
            before = arrival.offset()
            try:
                _stream(places, descriptor, arrival, transfer)
            except Broken:
                failures = 1 if arrival.offset() > before else failures + 1
                if failures >= attempts:
                    raise
                transfer.tell(RETRYING)
                pause(failures, transfer.abort)
        transfer.tell(VERIFYING)
        unpacked = arrival.finish()
    transfer.tell(DOWNLOADED)
    return unpacked


def _stream(places: Places, descriptor: Descriptor, arrival: Arrival, transfer: Transfer) -> None:
    """Read the rest of a blob, as far as one connection goes."""
    total = descriptor.size
    with places.blob(descriptor.id, total, start=arrival.offset()) as stream:
        if stream.start != arrival.offset():
            arrival.restart()
        done = arrival.offset()
        transfer.tell(DOWNLOADING, done, total)
        while done < total and (piece := stream.read(_PIECE)):
            arrival.write(piece)
            done += len(piece)
            transfer.tell(DOWNLOADING, done, total, every=False)
