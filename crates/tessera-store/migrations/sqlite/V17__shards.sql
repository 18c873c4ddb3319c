-- Where the database is spread over shards, a name is claimed for a member before they are written. What was claimed and
-- not confirmed is looked for, and there is hardly ever any: the index is empty, and costs nothing while nothing is spread.
CREATE INDEX member_identifier_claimed ON member_identifier (state) WHERE state = 4;
