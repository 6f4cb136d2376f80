-- Schema 7: a journal that was cut after it was read, and has grown again, is read anew.

ALTER TABLE journal_progress ADD COLUMN tail TEXT;
