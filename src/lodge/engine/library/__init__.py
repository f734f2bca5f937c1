"""The engine as a Python library: `import lodge`.

`asynchronous` is the face on an event loop, `blocking` the one for scripts, which runs the former in a
thread. `wishes` reads their arguments, `capture` collects a program's output, `results` holds what they give.
"""
