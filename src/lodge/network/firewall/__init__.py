"""The rules of all networks of one engine, in two tables of nf_tables that are its own.

`facts` are what the rules are made of; `plan` (pure) turns facts into elements of sets and says the chains,
which never change; `wall` makes the kernel agree: the whole at first and after a flush, else an element.
"""
