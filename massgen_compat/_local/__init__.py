"""The library's own engine: it does what ``_coordination`` orders, and waits for what happens."""
