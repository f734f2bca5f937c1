"""The verbs, one module a subject, each imported when it is used (`lodge.cli.tree` knows where it lives)."""
