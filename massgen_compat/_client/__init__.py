"""``MassGen``, the object that users build, with its observers and its choice of engines."""
