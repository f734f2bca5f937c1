"""netlink(7): links, addresses, routes, neighbours and queues by rtnetlink, without a library or a program.

`wire` packs and unpacks messages, `socket` carries them; `links`, `routes` and `queues` build requests
and read answers of one family each. `up` is the little that the fork server needs; only it is loaded with the
package.
"""

from lodge.kernel.netlink.up import link_up_request as link_up_request
from lodge.kernel.netlink.up import parse_acknowledgement as parse_acknowledgement
from lodge.kernel.netlink.up import set_link_up as set_link_up
