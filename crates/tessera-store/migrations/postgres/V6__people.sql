-- Names that lead to nobody any more: replaced cards, which are blocked for ever, and marks of people who left.

ALTER TABLE member_identifier ADD COLUMN state BIGINT NOT NULL DEFAULT 1;
ALTER TABLE member_identifier ADD COLUMN ends_at BIGINT;
ALTER TABLE member_identifier ADD COLUMN memory TEXT COLLATE "C";
CREATE INDEX member_identifier_ends_at ON member_identifier (ends_at) WHERE ends_at IS NOT NULL;
