"""``MassGen``, the object that users build, and what belongs to it: observers and engines."""
