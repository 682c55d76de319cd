-- Note at a group that an owner may have members there. The score changes with each note, so that
-- whoever saw another one does not strike this one off: two of them may come in one millisecond.
-- KEYS: the group. ARGV: owner, group expiry.
local lapses = now + tonumber(clock[2]) % 1000 / 1000 + tonumber(ARGV[2])
local old = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], old < lapses and lapses or old + 1, ARGV[1])
keep(KEYS[1], tonumber(ARGV[2]))
return 0
