"""A door: Docker's Engine API over HTTP.

One request, one call of the engine, one answer. `backend` says what this door needs of an engine.
"""
