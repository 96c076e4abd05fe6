-- +goose Up

-- The id of what was told last; null where an older processor told it. A correction's id is made of it too, so that one which is
-- made, undone and made again is not taken for its own repetition.
ALTER TABLE announcements ADD COLUMN event_id uuid;

-- +goose Down
ALTER TABLE announcements DROP COLUMN event_id;
