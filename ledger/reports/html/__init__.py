"""One self-contained page of a session, or of two side by side: to look at, and to send to a colleague.

`page` is pure: the same subjects give the same text. It needs the extra `html`; what draws the charts is in
the page itself, which opens without a network and asks for nothing.
"""

from ledger.reports.html.rendering import page
from ledger.reports.html.subject import Subject, subject_of

__all__ = ["Subject", "page", "subject_of"]
