"""The three files that transformers looks for; they are exported with the code they import."""
