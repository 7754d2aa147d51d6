"""Tables, figures and captions of report.html, made from what the other steps have written."""
