-- Queue one message, as "push" does with several: -1, or the depth of a queue that is full.
-- KEYS: the counter of all channels; the owner's queue, groups and counter. ARGV: expiry, how long
-- the queue is evidence, limit, target with newline and body.
local expiry = tonumber(ARGV[1])
local entry = entry_head(now + expiry) .. ARGV[4]
local depth = queue_up(KEYS[2], KEYS[3], tonumber(ARGV[3]), entry)
if not depth then
    keep_queue(KEYS[2], KEYS[3], expiry, tonumber(ARGV[2]))
end
local field = depth and 'channel_full_count' or 'messages_count'
count(KEYS[4], field, 1)
count(KEYS[1], field, 1)
return depth or -1
