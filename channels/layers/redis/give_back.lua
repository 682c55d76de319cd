-- Put an entry that was taken for nothing back at the front of its queue.
-- KEYS: the queue. ARGV: P, S, entry.
local lifetime = expiry_of(ARGV[3]) - now
if lifetime > 0 then
    redis.call('LPUSH', KEYS[1], ARGV[3])
    keep(KEYS[1], lifetime)
end
return 0
