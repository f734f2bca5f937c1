"""The programs behind `lodge registry`: a server of its own process, and work on an idle directory.

They need neither root nor lodged. Assembled here, since this room knows every other; the answers live in
`lodge.registry`.
"""
