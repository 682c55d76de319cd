-- Say that a process lives. Returns 0 for one that was not known (or is just being buried), 1 for
-- one that counted as dead, 2 for one that counted as alive; how many groups it is in; whether the
-- layer was flushed of late; and some of the processes that have been dead for long.
-- KEYS: the announced processes, the process's groups, its journal, the mark of a flush. ARGV:
-- process, how long it counts as alive, how long to remember that it is dead, dead ones at the
-- most, how long a journal is kept.

-- After so many times the time for which it counts as alive, a process without a word is buried:
-- one that hangs, or is cut off, finds its members as they are when it goes on before.
local BURIED_AFTER = 10

local alive = tonumber(ARGV[2])
local alive_until = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
-- A script that has removed something may go on to write while the memory is full.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + alive, ARGV[1])
keep(KEYS[1], tonumber(ARGV[3]))
trim(KEYS[3], tonumber(ARGV[5]))
return {
    alive_until == 0 and 0 or alive_until <= now and 1 or 2,
    redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf'),
    redis.call('EXISTS', KEYS[4]),
    redis.call(
        'ZRANGEBYSCORE', KEYS[1], '-inf', now - (BURIED_AFTER - 1) * alive, 'LIMIT', 0, ARGV[4]
    ),
}
