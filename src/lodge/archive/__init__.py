"""Tools: tar archives and their compression, on directory descriptors and streams of bytes.

`reader` turns bytes into members, `extract` puts members below a directory descriptor and never leaves it,
`writer` and `tree` go the other way, `compression` inflates and deflates, `verified` checks digests.
Nothing here knows images or containers; whiteouts are known as a way of writing deletions into a tar.
May touch: the directory descriptors and streams that it is given. Neighbour: `kernel`, never imported.
"""
