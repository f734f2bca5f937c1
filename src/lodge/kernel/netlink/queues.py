"""Queues of rtnetlink(7): the token bucket, and the way of a link's incoming packets to another link.

Sources: tc(8), tc-tbf(8), <linux/pkt_sched.h>, <linux/pkt_cls.h>.
"""

from __future__ import annotations

import struct

from lodge.kernel.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Request,
    attribute,
    nested,
    text,
    u32,
    u64,
)

RTM_NEWQDISC, RTM_DELQDISC = 36, 37
RTM_NEWTFILTER = 44

_TC = struct.Struct("=BxxxiIII")
_RATE = struct.Struct("=BBHhHI")  # struct tc_ratespec
_TBF = struct.Struct("=12s12sIII")  # struct tc_tbf_qopt
_MIRRED = struct.Struct("=IIiiiiI")  # struct tc_mirred

_TC_H_ROOT = 0xFFFFFFFF
_TC_H_INGRESS = 0xFFFFFFF1
_INGRESS_HANDLE = 0xFFFF0000
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_U32_SEL, _U32_ACT = 5, 7
_ACT_KIND, _ACT_OPTIONS = 1, 2
_MIRRED_PARMS = 2
_TCA_EGRESS_REDIR = 1
_TC_ACT_STOLEN = 4
_ETH_P_ALL = 0x0300  # in network order
_TICKS = 15.625
"""Ticks of the packet scheduler in a microsecond (a tick is 64 ns: PSCHED_SHIFT)."""


def token_bucket(index: int, rate: int, burst: int, limit: int) -> Request:
    """Let a link send at most `rate` bytes a second, `burst` bytes at once, `limit` bytes waiting."""
    spec = _RATE.pack(0, 1, 0, 0, 0, min(rate, 0xFFFFFFFF))
    ticks = min(int(burst * 1_000_000 * _TICKS / rate), 0xFFFFFFFF)
    parameters = _TBF.pack(spec, bytes(12), limit, ticks, 0)
    options = attribute(_TBF_PARMS, parameters) + u32(_TBF_BURST, burst)
    if rate > 0xFFFFFFFF:
        options += u64(_TBF_RATE64, rate)
    body = _TC.pack(0, index, 1 << 16, _TC_H_ROOT, 0)
    body += text(_TCA_KIND, "tbf") + nested(_TCA_OPTIONS, options)
    return Request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body)


def no_queue(index: int) -> Request:
    """Take a link's own queue away; ENOENT when there is none."""
    return Request(RTM_DELQDISC, 0, _TC.pack(0, index, 0, _TC_H_ROOT, 0))


def ingress(index: int) -> Request:
    """Give a link a place for filters of incoming packets; EEXIST when it has one."""
    body = _TC.pack(0, index, _INGRESS_HANDLE, _TC_H_INGRESS, 0) + text(_TCA_KIND, "ingress")
    return Request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)


def no_ingress(index: int) -> Request:
    """Take it away with its filters; ENOENT or EINVAL when there is none."""
    return Request(RTM_DELQDISC, 0, _TC.pack(0, index, 0, _TC_H_INGRESS, 0) + text(_TCA_KIND, "ingress"))


def redirect(index: int, to: int) -> Request:
    """Send all that comes in by a link with `ingress` out by another, an ifb."""
    everything = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)  # one key that matches all
    mirred = attribute(_MIRRED_PARMS, _MIRRED.pack(0, 0, _TC_ACT_STOLEN, 0, 0, _TCA_EGRESS_REDIR, to))
    action = nested(1, text(_ACT_KIND, "mirred"), nested(_ACT_OPTIONS, mirred))
    options = attribute(_U32_SEL, everything) + nested(_U32_ACT, action)
    body = _TC.pack(0, index, 0, _INGRESS_HANDLE, 1 << 16 | _ETH_P_ALL)
    body += text(_TCA_KIND, "u32") + nested(_TCA_OPTIONS, options)
    return Request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body)
