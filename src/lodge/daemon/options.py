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


_NETWORK = "networks are not offered yet"
_REGISTRY = "registries are not asked yet"
_PLUGINS = "plugins are not offered"
_CONTAINERD = "there is no containerd below this engine"

OPTIONS = (
    Option("add-runtime", "runtimes", "Register an additional OCI compatible runtime", key="runtimes"),
    Option("authorization-plugin", "list", "", key="authorization-plugins", lacks=_PLUGINS),
    Option("bip", "text", "", lacks=_NETWORK),
    Option("bip6", "text", "", lacks=_NETWORK),
    Option("bridge", "text", "Attach containers to a bridge", short="b", only=("none",), lacks=_NETWORK),
    Option("builder", "any", "", flag=False, lacks="building is not offered yet"),
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
    Option("default-address-pool", "list", "", key="default-address-pools", lacks=_NETWORK),
    Option("default-cgroupns-mode", "text", "Default mode for containers cgroup namespace (host | private)"),
    Option("default-gateway", "text", "", lacks=_NETWORK),
    Option("default-gateway-v6", "text", "", lacks=_NETWORK),
    Option("default-ipc-mode", "text", "Default mode for containers ipc (shareable | private)"),
    Option("default-network-opt", "any", "", key="default-network-opts", lacks=_NETWORK),
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
    Option("firewall-backend", "text", "", lacks=_NETWORK),
    Option("fixed-cidr", "text", "", lacks=_NETWORK),
    Option("fixed-cidr-v6", "text", "", lacks=_NETWORK),
    Option("group", "text", "Group for the unix socket (default lodge or docker)", short="G"),
    Option("help", "flag", "Print usage", short="h"),
    Option("host", "list", "Daemon socket(s) to connect to", short="H", key="hosts"),
    Option("host-gateway-ip", "list", "", key="host-gateway-ips", lacks=_NETWORK),
    Option("http-proxy", "text", "", lacks=_REGISTRY),
    Option("https-proxy", "text", "", lacks=_REGISTRY),
    Option("icc", "flag", "", only=(True,), lacks=_NETWORK),
    Option("init", "flag", "Run an init in the container to forward signals and reap processes"),
    Option("init-path", "text", "Path to the docker-init binary"),
    Option("insecure-registry", "list", "Enable insecure registry communication", key="insecure-registries"),
    Option("ip", "text", "", lacks=_NETWORK),
    Option("ip-forward", "flag", "", only=(False,), lacks=_NETWORK),
    Option("ip-forward-no-drop", "flag", "", only=(False,), lacks=_NETWORK),
    Option("ip-masq", "flag", "", only=(False,), lacks=_NETWORK),
    Option("ip6tables", "flag", "", only=(False,), lacks=_NETWORK),
    Option("iptables", "flag", "Enable addition of firewall rules", only=(False,), lacks=_NETWORK),
    Option("ipv6", "flag", "", only=(False,), lacks=_NETWORK),
    Option("label", "list", "Set key=value labels to the daemon", key="labels"),
    Option("live-restore", "flag", "Containers live on while the daemon is not there", only=(True,),
           lacks="containers always live on here; end them before the daemon instead"),
    Option("log-driver", "text", "Default driver for container logs"),
    Option("log-format", "text", "Set the logging format (text | json)"),
    Option("log-level", "text", "Set the logging level (debug | info | warn | error | fatal)", short="l"),
    Option("log-opt", "map", "Default log driver options for containers", key="log-opts"),
    Option("max-concurrent-downloads", "number", "", lacks=_REGISTRY),
    Option("max-concurrent-uploads", "number", "", lacks=_REGISTRY),
    Option("max-download-attempts", "number", "", lacks=_REGISTRY),
    Option("metrics-addr", "text", "Set address and port to serve the metrics api on"),
    Option("min-api-version", "text", "Oldest API version to serve"),
    Option("mtu", "number", "", only=(0,), lacks=_NETWORK),
    Option("network-control-plane-mtu", "number", "", lacks=_NETWORK),
    Option("no-new-privileges", "flag", "Set no-new-privileges by default for new containers"),
    Option("no-proxy", "text", "", lacks=_REGISTRY),
    Option("node-generic-resource", "list", "", key="node-generic-resources", lacks="there is no swarm mode"),
    Option("pidfile", "text", "Path to use for daemon PID file", short="p"),
    Option("proxies", "any", "", flag=False, lacks=_REGISTRY),
    Option("raw-logs", "flag", "Full timestamps without ANSI coloring (they always are)"),
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
    Option("userland-proxy", "flag", "", only=(False,), lacks=_NETWORK),
    Option("userland-proxy-path", "text", "", lacks=_NETWORK),
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
