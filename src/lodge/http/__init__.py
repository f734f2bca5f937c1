"""A small HTTP/1.1 server that can give a connection away: no routes, no JSON, no Docker.

What lives here: parsing of heads (httptools), framing of bodies, answers and streams with backpressure, the
hand-over of a socket with the bytes that came too early, websocket frames, listening sockets. It may touch
sockets and pipes only. Routes live in `lodge.api`, assembly in `lodge.daemon`.
"""
