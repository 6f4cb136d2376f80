"""The events themselves: their models, their forms as rows and as lines, and their redaction."""
