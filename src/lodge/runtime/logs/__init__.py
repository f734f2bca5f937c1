"""The log of a container's output: written by its monitor, read by engines, in files that rotate.

`sink` is the writing end, `cutter` cuts output into lines, `rotation`
keeps the files, `json_file` and `local` are the formats (each with its encoder and decoder), `view` says
what of a log is wanted and how, `reader` gives it, following if wished.
"""
