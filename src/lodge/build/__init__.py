"""Building images: text -> instructions -> graph -> solve.

Reaches files and processes only through the protocols that it declares; the engine fulfils them.
"""
