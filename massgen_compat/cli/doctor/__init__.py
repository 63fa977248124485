"""The doctor: it sends a running endpoint the requests that clients send, and says what to fix.

``checkup`` decides which requests are sent, and in which order. ``probe`` sends them, as the only
module with I/O. ``observed`` holds the replies, and the other modules check them: they turn replies
into ``Finding``s. The doctor knows OpenAI's protocol and the habits of clients. It uses nothing of
this package but its errors, so that it can examine any server.
"""
