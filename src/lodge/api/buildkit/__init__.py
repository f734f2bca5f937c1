"""BuildKit's doors: gRPC on connections that were upgraded to HTTP/2, so that buildx builds here unchanged.

`door` answers /grpc and /session and holds the rest together; `control` and `gateway` are the services that a
client calls, `sessions` what is called of the client (`filesync` its files). What a build is, the room
`build` knows. Imported when the first such client comes.
"""
