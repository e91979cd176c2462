"""One run of a map: options, source, backend, observers and engine put together.

`list_map` runs in the caller's thread, `stream_map` in threads of its own; both raise or return.
"""
