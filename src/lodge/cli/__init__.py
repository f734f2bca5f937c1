"""The `lodge` command: Docker's command line over the engine's socket.

What it may touch: the terminal, the user's files that are named on the command line, and the client. It needs
no privilege of its own. Its start is measured: a verb's module is imported when the verb is used, and the
verbs that scripts call in loops import nothing that costs a millisecond (tests hold the list).
"""
