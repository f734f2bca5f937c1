"""The messages of BuildKit's services that are spoken here, as tables for `protobuf`.

Source: the service definitions of moby/buildkit (control, gateway, session) and of tonistiigi/fsutil: names,
numbers and kinds of the fields. Fields that mean nothing here are left out, and so skipped.
"""

from __future__ import annotations

from lodge.api.buildkit.protobuf import FLAG, NUMBER, RAW, TEXT, Many, Mapping, Schema

TIME = Schema("Timestamp", seconds=(1, NUMBER), nanos=(2, NUMBER))
ANY = Schema("Any", type_url=(1, TEXT), value=(2, RAW))
STATUS = Schema("Status", code=(1, NUMBER), message=(2, TEXT), details=(3, Many(ANY)))
EMPTY = Schema("Empty")
PIECE = Schema("BytesMessage", data=(1, RAW))

PLATFORM = Schema("Platform", Architecture=(1, TEXT), OS=(2, TEXT), Variant=(3, TEXT))
SOURCE_INFO = Schema("SourceInfo", filename=(1, TEXT), data=(2, RAW), language=(4, TEXT))
POSITION = Schema("Position", line=(1, NUMBER), character=(2, NUMBER))
RANGE = Schema("Range", start=(1, POSITION), end=(2, POSITION))
SOURCE = Schema("errdefs.Source", info=(1, SOURCE_INFO), ranges=(2, Many(RANGE)))
VERTEX_REF = Schema("errdefs.Vertex", digest=(1, TEXT))

# Control
EXPORTER = Schema("Exporter", Type=(1, TEXT), Attrs=(2, Mapping(TEXT)))
CACHE_ENTRY = Schema("CacheOptionsEntry", Type=(1, TEXT), Attrs=(2, Mapping(TEXT)))
CACHE_OPTIONS = Schema(
    "CacheOptions",
    ImportRefsDeprecated=(2, Many(TEXT)),
    Exports=(4, Many(CACHE_ENTRY)),
    Imports=(5, Many(CACHE_ENTRY)),
)
DEFINITION = Schema("Definition", def_=(1, Many(RAW)))
SOLVE_REQUEST = Schema(
    "SolveRequest",
    Ref=(1, TEXT),
    Definition=(2, DEFINITION),
    ExporterDeprecated=(3, TEXT),
    ExporterAttrsDeprecated=(4, Mapping(TEXT)),
    Session=(5, TEXT),
    Frontend=(6, TEXT),
    FrontendAttrs=(7, Mapping(TEXT)),
    Cache=(8, CACHE_OPTIONS),
    Entitlements=(9, Many(TEXT)),
    FrontendInputs=(10, Mapping(DEFINITION)),
    Exporters=(13, Many(EXPORTER)),
)
SOLVE_RESPONSE = Schema("SolveResponse", ExporterResponse=(1, Mapping(TEXT)))
STATUS_REQUEST = Schema("StatusRequest", Ref=(1, TEXT))
VERTEX = Schema(
    "Vertex",
    digest=(1, TEXT),
    inputs=(2, Many(TEXT)),
    name=(3, TEXT),
    cached=(4, FLAG),
    started=(5, TIME),
    completed=(6, TIME),
    error=(7, TEXT),
)
VERTEX_STATUS = Schema(
    "VertexStatus",
    ID=(1, TEXT),
    vertex=(2, TEXT),
    name=(3, TEXT),
    current=(4, NUMBER),
    total=(5, NUMBER),
    timestamp=(6, TIME),
    started=(7, TIME),
    completed=(8, TIME),
)
VERTEX_LOG = Schema("VertexLog", vertex=(1, TEXT), timestamp=(2, TIME), stream=(3, NUMBER), msg=(4, RAW))
VERTEX_WARNING = Schema(
    "VertexWarning",
    vertex=(1, TEXT),
    level=(2, NUMBER),
    short=(3, RAW),
    detail=(4, Many(RAW)),
    url=(5, TEXT),
    info=(6, SOURCE_INFO),
    ranges=(7, Many(RANGE)),
)
STATUS_RESPONSE = Schema(
    "StatusResponse",
    vertexes=(1, Many(VERTEX)),
    statuses=(2, Many(VERTEX_STATUS)),
    logs=(3, Many(VERTEX_LOG)),
    warnings=(4, Many(VERTEX_WARNING)),
)
VERSION = Schema(
    "BuildkitVersion",
    package=(1, TEXT),
    version=(2, TEXT),
    revision=(3, TEXT),
    dockerfileVersion=(4, TEXT),
)
GC_POLICY = Schema("GCPolicy", all=(1, FLAG), keepDuration=(2, NUMBER), filters=(4, Many(TEXT)))
WORKER = Schema(
    "WorkerRecord",
    ID=(1, TEXT),
    Labels=(2, Mapping(TEXT)),
    platforms=(3, Many(PLATFORM)),
    GCPolicy=(4, Many(GC_POLICY)),
    BuildkitVersion=(5, VERSION),
)
LIST_WORKERS_REQUEST = Schema("ListWorkersRequest", filter=(1, Many(TEXT)))
LIST_WORKERS_RESPONSE = Schema("ListWorkersResponse", record=(1, Many(WORKER)))
INFO_RESPONSE = Schema("InfoResponse", buildkitVersion=(1, VERSION))
PRUNE_REQUEST = Schema(
    "PruneRequest",
    filter=(1, Many(TEXT)),
    all=(2, FLAG),
    keepDuration=(3, NUMBER),
    reservedSpace=(4, NUMBER),
    maxUsedSpace=(5, NUMBER),
)
DISK_USAGE_REQUEST = Schema("DiskUsageRequest", filter=(1, Many(TEXT)))
USAGE_RECORD = Schema(
    "UsageRecord",
    ID=(1, TEXT),
    Mutable=(2, FLAG),
    InUse=(3, FLAG),
    Size=(4, NUMBER),
    CreatedAt=(6, TIME),
    LastUsedAt=(7, TIME),
    UsageCount=(8, NUMBER),
    Description=(9, TEXT),
    RecordType=(10, TEXT),
    Shared=(11, FLAG),
    Parents=(12, Many(TEXT)),
)
DISK_USAGE_RESPONSE = Schema("DiskUsageResponse", record=(1, Many(USAGE_RECORD)))

# The gateway: what a client calls while its own Solve waits
REF = Schema("Ref", id=(1, TEXT))
REF_MAP = Schema("RefMap", refs=(1, Mapping(REF)))
RESULT = Schema("Result", ref=(3, REF), refs=(4, REF_MAP), metadata=(10, Mapping(RAW)))
RETURN_REQUEST = Schema("ReturnRequest", result=(1, RESULT), error=(2, STATUS))
FRONTEND_SOLVE_REQUEST = Schema(
    "SolveRequest",
    Definition=(1, DEFINITION),
    Frontend=(2, TEXT),
    FrontendOpt=(3, Mapping(TEXT)),
    CacheImports=(12, Many(CACHE_ENTRY)),
    FrontendInputs=(13, Mapping(DEFINITION)),
    Evaluate=(14, FLAG),
)
FRONTEND_SOLVE_RESPONSE = Schema("SolveResponse", result=(3, RESULT))
CAPABILITY = Schema("APICap", ID=(1, TEXT), Enabled=(2, FLAG))
PONG = Schema(
    "PongResponse",
    FrontendAPICaps=(1, Many(CAPABILITY)),
    LLBCaps=(2, Many(CAPABILITY)),
    Workers=(3, Many(WORKER)),
)
WARN_REQUEST = Schema(
    "WarnRequest",
    digest=(1, TEXT),
    level=(2, NUMBER),
    short=(3, RAW),
    detail=(4, Many(RAW)),
    url=(5, TEXT),
    info=(6, SOURCE_INFO),
    ranges=(7, Many(RANGE)),
)

# What is called of the client
STAT = Schema(
    "Stat",
    path=(1, TEXT),
    mode=(2, NUMBER),
    uid=(3, NUMBER),
    gid=(4, NUMBER),
    size=(5, NUMBER),
    modTime=(6, NUMBER),
    linkname=(7, TEXT),
    devmajor=(8, NUMBER),
    devminor=(9, NUMBER),
    xattrs=(10, Mapping(RAW)),
)
PACKET = Schema("Packet", type=(1, NUMBER), stat=(2, STAT), ID=(3, NUMBER), data=(4, RAW))
CREDENTIALS_REQUEST = Schema("CredentialsRequest", Host=(1, TEXT))
CREDENTIALS_RESPONSE = Schema("CredentialsResponse", Username=(1, TEXT), Secret=(2, TEXT))
SECRET_REQUEST = Schema("GetSecretRequest", ID=(1, TEXT))
SECRET_RESPONSE = Schema("GetSecretResponse", data=(1, RAW))
CHECK_AGENT_REQUEST = Schema("CheckAgentRequest", ID=(1, TEXT))
