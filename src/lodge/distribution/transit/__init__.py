"""Images on their way between registries, archives and layouts, without a store in between.

`contract` says what an origin and a goal are; `copying` carries from one to the other. Needs neither root nor
lodged. Touches the net, and the files that are named.
"""
