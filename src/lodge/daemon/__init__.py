"""`lodged`: puts the server side together. The only place that knows every room.

What lives here: the program's flags and file, its listening sockets, its log, its life (signals, pid file,
systemd). Nothing else imports this package but the command line, which starts it as a program.
"""
