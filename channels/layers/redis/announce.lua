-- Say that a process lives. Returns whether that was known, how many groups it is in, when the
-- layer was flushed of late, and some of the processes that are dead.
-- KEYS: the announced processes, the process's groups, the mark of a flush. ARGV: process, how
-- long it counts as alive, how long to remember that it is dead, dead ones at the most.
local known = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
-- A script that has removed something may go on to write while the memory is full.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
keep(KEYS[1], tonumber(ARGV[3]))
return {
    known,
    redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf'),
    redis.call('EXISTS', KEYS[3]),
    redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[4]),
}
