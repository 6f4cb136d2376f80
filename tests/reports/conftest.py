"""The browser that the tests of the page share."""

from tests.support.browsing import browser as browser
from tests.support.browsing import opened as opened
