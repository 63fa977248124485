"""What ``asgi`` is made of: requests in, responses out, in the terms of starlette.

Only this package and ``asgi`` import starlette. It knows bytes, headers and disconnects; what a
payload means stands in ``protocol``, what a run does in the engine, how many there are and who
joins them in ``serving``.
"""
