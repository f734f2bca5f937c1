"""Who may do what: nobody asked, a file of passwords, or signed tokens. Each is a `Gate` (see `contract`)."""
