-- Queue one message: -1, or the depth of a queue that is full.
-- KEYS: the counter of all channels; the owner's queue, groups and counter. ARGV: expiry, how long
-- the queue is evidence, limit, target with newline and body.
local queue, joined, limit = KEYS[2], KEYS[3], tonumber(ARGV[3])
local expiry = tonumber(ARGV[1])
local entry = entry_head(now + expiry) .. ARGV[4]
local depth = redis.call('RPUSH', queue, entry)
if depth > limit then
    redis.call('RPOP', queue)
    if drop_expired(queue) then
        end_memberships(queue, joined)
    end
    depth = redis.call('LLEN', queue)
    if depth >= limit then
        count(KEYS[4], 'channel_full_count', 1)
        count(KEYS[1], 'channel_full_count', 1)
        return depth
    end
    redis.call('RPUSH', queue, entry)
end
keep_queue(queue, joined, expiry, tonumber(ARGV[2]))
count(KEYS[4], 'messages_count', 1)
count(KEYS[1], 'messages_count', 1)
return -1
