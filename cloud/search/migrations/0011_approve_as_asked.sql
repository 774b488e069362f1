-- What a request for approval was about, where it was made since: the photos the people had then, and, where a program
-- asked, who made its key. Neither more photos nor the same person twice may come of it.
ALTER TABLE search.approvals ADD COLUMN photo_ids uuid[];
ALTER TABLE search.approvals ADD COLUMN key_made_by text;
