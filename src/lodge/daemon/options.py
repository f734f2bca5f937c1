"""dockerd's options: one table of names, kinds and what is behind them here.

An option whose room does not exist yet is refused unless it asks for what is so anyway (`--iptables=false`),
so that nothing is ever silently ignored. `flags` and `file` next door read values by this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Option(NamedTuple):
    """One option. `key` is its name in daemon.json where that differs; kinds are explained in `values`."""

    name: str
    kind: str
    help: str
    short: str = ""
    key: str = ""
    only: tuple[object, ...] = ()
    lacks: str = ""
    flag: bool = True

    @property
    def file_key(self) -> str:
        """The name in daemon.json."""
        return self.key or self.name


_PLUGINS = "plugins are not offered"
_CONTAINERD = "there is no containerd below this engine"

OPTIONS = (
    Option("add-runtime", "runtimes", "Register an additional OCI compatible runtime", key="runtimes"),
    Option("authorization-plugin", "list", "", key="authorization-plugins", lacks=_PLUGINS),
    Option("bip", "text", "Address and subnet of the default bridge, as 10.1.0.1/16"),
    Option("bip6", "text", "IPv6 address and subnet of the default bridge"),
    Option("bridge", "text", "Link of the default bridge; none for no such network", short="b"),
    Option("builder", "any", "", flag=False, lacks="limits of the build cache are arguments of prune"),
    Option("cdi-spec-dir", "list", "", key="cdi-spec-dirs", lacks="CDI devices are not offered"),
    Option("cgroup-parent", "text", "Set parent cgroup for all containers"),
    Option("config-file", "text", "Daemon configuration file (default /etc/lodge/daemon.json)"),
    Option("containerd", "text", "", lacks=_CONTAINERD),
    Option("containerd-namespace", "text", "", lacks=_CONTAINERD),
    Option("containerd-plugins-namespace", "text", "", lacks=_CONTAINERD),
    Option("cpu-rt-period", "number", "", only=(0,), lacks="realtime defaults are not offered"),
    Option("cpu-rt-runtime", "number", "", only=(0,), lacks="realtime defaults are not offered"),
    Option("cri-containerd", "flag", "", only=(False,), lacks=_CONTAINERD),
    Option("data-root", "text", "Root directory of persistent state (default /var/lib/lodge)"),
    Option("debug", "flag", "Enable debug mode", short="D"),
    Option(
        "default-address-pool", "pools", "A block that networks get subnets of, as base=10.0.0.0/8,size=24",
        key="default-address-pools",
    ),
    Option("default-cgroupns-mode", "text", "Default mode for containers cgroup namespace (host | private)"),
    Option("default-gateway", "text", "Gateway of containers in the default bridge"),
    Option("default-gateway-v6", "text", "IPv6 gateway of containers in the default bridge"),
    Option("default-ipc-mode", "text", "Default mode for containers ipc (shareable | private)"),
    Option(
        "default-network-opt", "network-options", "An option of new networks, as driver=name=value",
        key="default-network-opts",
    ),
    Option("default-runtime", "text", "Default runtime for containers"),
    Option("default-shm-size", "size", "Default shm size for containers"),
    Option("default-ulimit", "ulimits", "Default ulimits for containers", key="default-ulimits"),
    Option("dns", "list", "DNS server to use"),
    Option("dns-opt", "list", "DNS options to use", key="dns-opts"),
    Option("dns-search", "list", "DNS search domains to use"),
    Option(
        "exec-opt", "list", "Runtime execution options", key="exec-opts",
        only=([], ["native.cgroupdriver=cgroupfs"]), lacks="only native.cgroupdriver=cgroupfs is offered",
    ),
    Option("exec-root", "text", "Root directory for execution state files (default /run/lodge)"),
    Option("experimental", "flag", "", only=(False,), lacks="there are no experimental features"),
    Option("feature", "features", "Enable feature in the daemon", key="features"),
    Option("firewall-backend", "text", "Firewall backend (nftables)"),
    Option("fixed-cidr", "text", "The part of the default bridge's subnet that containers get"),
    Option("fixed-cidr-v6", "text", "The part of the default bridge's IPv6 subnet that containers get"),
    Option("group", "text", "Group for the unix socket (default lodge or docker)", short="G"),
    Option("help", "flag", "Print usage", short="h"),
    Option("host", "list", "Daemon socket(s) to connect to", short="H", key="hosts"),
    Option("host-gateway-ip", "list", "What host-gateway means in --add-host", key="host-gateway-ips"),
    Option("http-proxy", "text", "HTTP proxy URL address to use for outgoing traffic"),
    Option("https-proxy", "text", "HTTPS proxy URL address to use for outgoing traffic"),
    Option("icc", "flag", "Let containers of the default bridge talk to each other"),
    Option("init", "flag", "Run an init in the container to forward signals and reap processes"),
    Option("init-path", "text", "Path to the docker-init binary"),
    Option("insecure-registry", "list", "Enable insecure registry communication", key="insecure-registries"),
    Option("ip", "text", "Where ports are published that name no address"),
    Option("ip-forward", "flag", "Switch forwarding of packets on"),
    Option("ip-forward-no-drop", "flag", "Leave the policy of forwarding alone (it always is)"),
    Option("ip-masq", "flag", "Give packets of containers the host's address"),
    Option("ip6tables", "flag", "Make IPv6 firewall rules"),
    Option("iptables", "flag", "Make firewall rules (with nftables)"),
    Option("ipv6", "flag", "Give the default bridge IPv6"),
    Option("label", "list", "Set key=value labels to the daemon", key="labels"),
    Option("live-restore", "flag", "Containers live on while the daemon is not there", only=(True,),
           lacks="containers always live on here; end them before the daemon instead"),
    Option("log-driver", "text", "Default driver for container logs"),
    Option("log-format", "text", "Set the logging format (text | json)"),
    Option("log-level", "text", "Set the logging level (debug | info | warn | error | fatal)", short="l"),
    Option("log-opt", "map", "Default log driver options for containers", key="log-opts"),
    Option("max-concurrent-downloads", "number", "Set the max concurrent downloads (default 3)"),
    Option("max-concurrent-uploads", "number", "Set the max concurrent uploads (default 5)"),
    Option("max-download-attempts", "number", "Set the max download attempts for each pull (default 5)"),
    Option("metrics-addr", "text", "Set address and port to serve the metrics api on"),
    Option("min-api-version", "text", "Oldest API version to serve"),
    Option("mtu", "number", "MTU of the networks"),
    Option("network-control-plane-mtu", "number", "", lacks="there is no swarm mode"),
    Option("no-new-privileges", "flag", "Set no-new-privileges by default for new containers"),
    Option("no-proxy", "text", "Hosts that are asked without a proxy, with commas between them"),
    Option("node-generic-resource", "list", "", key="node-generic-resources", lacks="there is no swarm mode"),
    Option("pidfile", "text", "Path to use for daemon PID file", short="p"),
    Option("proxies", "any", "Proxies for registries, as the flags", flag=False),
    Option("publish-mode", "text", "How ports are published (kernel | proxy, seen by the firewall)"),
    Option("raw-logs", "flag", "Full timestamps without ANSI coloring (they always are)"),
    Option("registries", "any", "How registries are reached, by their hosts", flag=False),
    Option("registry-mirror", "list", "Preferred registry mirror", key="registry-mirrors"),
    Option("rootless", "flag", "", only=(False,), lacks="rootless mode is not offered yet"),
    Option("seccomp-profile", "text", "Path to seccomp profile"),
    Option("selinux-enabled", "flag", "", only=(False,), lacks="SELinux labels are not offered"),
    Option("shutdown-timeout", "number", "Seconds that running requests get at the end"),
    Option("storage-driver", "text", "Storage driver to use", short="s",
           only=("overlay2", "overlay", "overlayfs"), lacks="overlayfs is the one that is offered"),
    Option("storage-opt", "list", "", key="storage-opts", lacks="storage options are not offered"),
    Option("swarm-default-advertise-addr", "text", "", lacks="there is no swarm mode"),
    Option("tls", "flag", "Use TLS; implied by --tlsverify"),
    Option("tlscacert", "text", "Trust certs signed only by this CA"),
    Option("tlscert", "text", "Path to TLS certificate file"),
    Option("tlskey", "text", "Path to TLS key file"),
    Option("tlsverify", "flag", "Use TLS and verify the remote"),
    Option("trust-policy", "text", "File that says whose images may run, and who must have signed them"),
    Option("userland-proxy", "flag", "Serve published ports from the host's loopback by a process"),
    Option("userland-proxy-path", "text", "", lacks="the proxy is part of this engine"),
    Option("userns-remap", "text", "User/Group setting for user namespaces"),
    Option("validate", "flag", "Validate daemon configuration and exit"),
    Option("version", "flag", "Print version information and quit", short="v"),
)  # fmt: skip

BY_NAME = {option.name: option for option in OPTIONS if option.flag}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
BY_KEY = {option.file_key: option for option in OPTIONS}

NOT_IN_FILES = ("config-file", "help", "validate", "version")
"""Options of the command line only."""


def usage() -> str:
    """The text of --help."""
    lines = ["Usage:  lodged [OPTIONS]", "", "A container engine that speaks Docker's API.", "", "Options:"]
    for option in OPTIONS:
        if option.flag and option.help:
            short = f"-{option.short}, " if option.short else "    "
            kind = "" if option.kind == "flag" else " " + option.kind
            lines.append(f"  {short}{'--' + option.name + kind:<32} {option.help}")
    return "\n".join([*lines, ""])
