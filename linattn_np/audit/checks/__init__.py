"""The checks, a file each: what the backward function says against a reference that does not know it. Each returns rows."""
