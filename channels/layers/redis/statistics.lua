-- Sent, refused and waiting messages of one channel, and when the oldest waiting one expires
-- (milliseconds from now, as text; "" without one).
-- KEYS: the queue, its counter.
local length, expired = redis.call('LLEN', KEYS[1]), 0
local head = redis.call('LINDEX', KEYS[1], 0)
while head and expiry_of(head) <= now do
    expired = expired + 1
    head = redis.call('LINDEX', KEYS[1], expired)
end
local counts = redis.call('HMGET', KEYS[2], 'messages_count', 'channel_full_count')
return {
    tonumber(counts[1] or 0),
    tonumber(counts[2] or 0),
    length - expired,
    head and tostring(expiry_of(head) - now) or '',
}
