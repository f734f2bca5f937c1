"""When something was signed, by the word of a transparency log whose key is given (Rekor). Offline.

A log's promise (signed entry timestamp) covers the entry's body, its time, its place and the log's own name.
It counts for a signature only if the body is about that very signature.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Sequence
from typing import Any

from lodge.distribution.trust.keys import verifies
from lodge.distribution.trust.material import Signature


def signed_at(signature: Signature, keys: Sequence[Any]) -> datetime.datetime | None:
    """When the log took the signature in; None when that is not proven."""
    entry = signature.entry
    if entry is None:
        return None
    promised = {
        "body": entry.body,
        "integratedTime": entry.integrated,
        "logID": entry.log_id,
        "logIndex": entry.index,
    }
    # RFC 8785 for what can occur here: sorted names, no spaces
    canonical = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
    if not any(verifies(key, entry.promise, canonical) for key in keys):
        return None
    if not _is_about(entry.body, signature):
        return None
    return datetime.datetime.fromtimestamp(entry.integrated, datetime.UTC)


def _is_about(body: str, signature: Signature) -> bool:
    """Whether a log entry (hashedrekord, dsse or intoto) holds this signature."""
    try:
        entry = json.loads(base64.b64decode(body, validate=True))
        spec = entry["spec"]
        if entry["kind"] == "hashedrekord":
            found = [spec["signature"]["content"]]
        elif entry["kind"] == "dsse":
            found = [one["signature"] for one in spec["signatures"]]
        else:
            # intoto 0.0.2 encodes the envelope's signature, which is text already, once more
            envelope = spec["content"]["envelope"]
            found = [base64.b64decode(one["sig"]).decode() for one in envelope["signatures"]]
        return any(base64.b64decode(text) == signature.signature for text in found)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
