"""The doctor: asks a running endpoint what clients ask it, and says what to fix.

``checkup`` decides what is asked, ``probe`` asks (the only module with I/O), ``observed`` holds
what came back, and the other modules check_value it: values in, ``Finding``s out. It knows OpenAI's
protocol and clients' habits, and nothing of the rest of this package: it examines any server.
"""
