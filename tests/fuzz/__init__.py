"""Bytes that nobody wrote, for the parts that read what others send.

``targets`` says what is read and what may be raised; hypothesis runs it in ``make test``, and
atheris, led by coverage, in ``make fuzz``.
"""
