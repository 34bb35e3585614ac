"""The layers: forward, backward, tangent and tangent of the backward, one file each, every line derived by hand."""
