"""The language of Dockerfiles: text -> logical lines -> typed instructions -> stages. Pure: no files, no net.

`directives` and `lines` cut the text, `words` expands variables, `instructions` says what there is, `reading`
and its neighbours turn lines into it, `stages` groups them, `lint` finds what works and is still unwise.
"""
