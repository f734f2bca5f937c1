"""The rows of the table, a module for each thing that users do. Importing this package registers them all."""

from bench.rows import archives as archives
from bench.rows import build as build
from bench.rows import commands as commands
from bench.rows import lifecycle as lifecycle
from bench.rows import logs as logs
from bench.rows import many as many
from bench.rows import memory as memory
from bench.rows import names as names
from bench.rows import networks as networks
from bench.rows import registry as registry
from bench.rows import registry_server as registry_server
from bench.rows import restart as restart
from bench.rows import vm as vm
