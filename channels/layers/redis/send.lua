-- Queue one message: -1, or the depth of a queue that is full.
-- KEYS: the queue. ARGV: P, S, owner, target, expiry, linger, limit, message.
return push(ARGV[3], ARGV[4], ARGV[8], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
