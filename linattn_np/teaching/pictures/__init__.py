"""What draws the pictures of a lesson, a module for each: a cell of the lesson shows the idea, and how it is drawn stands here."""
