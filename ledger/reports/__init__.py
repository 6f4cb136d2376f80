"""What a report says of a session, and its renderers: text, JSON, HTML, flame graphs."""
