-- Names that lead to nobody any more: replaced cards, which are blocked for ever, and marks of people who left.
-- No state: the name leads to its member.

ALTER TABLE member_identifier ADD COLUMN state BIGINT;
ALTER TABLE member_identifier ADD COLUMN ends_at BIGINT;
ALTER TABLE member_identifier ADD COLUMN memory TEXT COLLATE "C";
