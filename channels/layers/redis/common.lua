-- What all scripts share: it stands before each of them.
--
-- Keys. P is the layer's prefix, S the prefix of its statistics; on a Redis Cluster both end in
-- the hash tag of a shard, so that a shard is in one slot. Names of channels and groups have no
-- ":", so that no key is mistaken for another one. An "owner" is who reads a queue: a process
-- ("websocket.send.PROCESS!"), or a normal or single-reader channel. All of an owner's keys are
-- in the shard of the owner, those of a group in the shard of the group.
--
--   P<owner>                   list    a queue of entries
--   P joined:<owner>           zset    the groups of an owner, by when it lapses there
--   P sockets:<group>:<owner>  zset    what follows the "!" of a process's members, likewise
--   P journal:<owner>          stream  how the members of a process changed, of late
--   P alive:                   zset    announced processes, by when they count as dead; also
--                                      of other shards, to notice when this one loses its groups
--   P group:<group>            zset    where a group may have members: owners, by when they lapse
--   P bell:<random>            list    wakes a receiver that waits on several shards
--   S channel:<counted name>   hash    messages_count, channel_full_count
--   S global                   hash    the same, of all channels
--
-- The group only tells where to look; who belongs to it is what the owner's keys say. A process
-- keeps its members in its memory too, by reading its journal: so a group's message is one entry
-- that names the group and the place in the journal, whatever the number of members.
--
-- An entry is one byte of version, the time it expires (milliseconds, decimal, by this server's
-- clock), a space, its target, a newline, and the message, which begins with a version of its own.
-- The target is what follows the "!", or "@<group> <place in the journal>", or nothing.
--
-- A record of the journal has one field, "c": kind, group, socket, when it lapses, separated by
-- spaces. The kinds: "+" joined, "=" was a member and stays one for longer, "-" left.
--
-- All keys are declared, times are in milliseconds, and no key is ever without an expiry.

local STATISTICS_LIFETIME, COUNTS_KEPT = 86400 * 1000, 100

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Let a key live for so long at least, and a little longer, so that it need not be told each time.
local function keep(key, lifetime)
    if redis.call('PTTL', key) < lifetime then
        redis.call('PEXPIRE', key, math.floor(lifetime * 1.25))
    end
end

local function expiry_of(entry)
    return tonumber(string.match(entry, '^.(%d+) ')) or math.huge
end

-- Drop what has expired at the front of a queue; true if there was anything.
local function drop_expired(queue)
    local dropped = false
    local head = redis.call('LINDEX', queue, 0)
    while head and expiry_of(head) <= now do
        redis.call('LPOP', queue)
        dropped = true
        head = redis.call('LINDEX', queue, 0)
    end
    return dropped
end

-- Who lets a message expire leaves all groups. A process announces itself as long as it lives, so
-- that a slow one stays.
local function end_memberships(queue, joined)
    if string.sub(queue, -1) ~= '!' then
        redis.call('UNLINK', joined)
    end
end

-- How an entry begins that expires at this time.
local function entry_head(expires)
    return string.format('\1%.0f ', expires)
end

-- Queue an entry: nothing, or how deep the queue is when that is its limit.
local function queue_up(queue, joined, limit, entry)
    if redis.call('RPUSH', queue, entry) <= limit then
        return nil
    end
    redis.call('RPOP', queue)
    if drop_expired(queue) then
        end_memberships(queue, joined)
        if redis.call('RPUSH', queue, entry) <= limit then
            return nil
        end
        redis.call('RPOP', queue)
    end
    return redis.call('LLEN', queue)
end

-- Let a queue live longer than its messages, as evidence that nobody read them; that of a group's
-- member for much longer. It need not be told each time.
local function keep_queue(queue, joined, expiry, evidence)
    if redis.call('PTTL', queue) < expiry * 1.1 then
        local is_member = redis.call('EXISTS', joined) == 1
        redis.call('PEXPIRE', queue, math.ceil(expiry * 1.5 + (is_member and evidence or 0)))
    end
end

-- Count messages, which must not fail for that; the counter need not be told each time to live on.
local function count(counter, field, number)
    local total = redis.pcall('HINCRBY', counter, field, number)
    if type(total) ~= 'number' then
        return
    end
    if total <= COUNTS_KEPT or total % COUNTS_KEPT < number then
        redis.call('PEXPIRE', counter, STATISTICS_LIFETIME)
    end
end

-- The owner of a queue: what its key has in place of the "alive:" of the key given first.
local function owner_of(alive, queue)
    return string.sub(queue, #alive - 5)
end

-- True when an owner belongs to a group. Processes that are known to be dead do not; neither does
-- who has let a message expire, unless it is a process that is known to live.
local function is_member(alive, queue, joined, group)
    local lapses = redis.call('ZSCORE', joined, group)
    if not lapses or tonumber(lapses) <= now then
        return false
    end
    local alive_until = redis.call('ZSCORE', alive, owner_of(alive, queue))
    if alive_until then
        return tonumber(alive_until) > now
    end
    local head = redis.call('LINDEX', queue, 0)
    if head and expiry_of(head) <= now then
        redis.call('UNLINK', joined)
        return false
    end
    return true
end

-- The place in a journal: its last record, or what comes before all those of this millisecond.
local function place_in(journal)
    local last = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', 1)[1]
    return last and last[1] or string.format('%.0f-18446744073709551615', now - 1)
end

-- Write down how the members of a process changed. The journal's end lives on for longer than what
-- is before it, to tell later whether Redis has lost something that the process had read.
local function record(journal, retention, kind, group, socket, lapses)
    redis.call(
        'XADD', journal, 'MINID', '~', string.format('%.0f', now - retention), '*',
        'c', string.format('%s %s %s %.0f', kind, group, socket, lapses)
    )
    redis.call('PEXPIRE', journal, retention * 30)
end
