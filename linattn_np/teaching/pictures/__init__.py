"""What the lessons draw, one file a lesson: a cell shows the idea, and the plotting stands here."""
