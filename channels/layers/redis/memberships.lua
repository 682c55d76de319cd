-- A part for scripts that have to do with members; to judge them, it needs the part about queues.

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

-- Drop what a journal has kept for long enough, but for its end.
local function trim(journal, retention)
    local last = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', 1)[1]
    if last then
        local kept_from = math.min(now - retention, tonumber(string.match(last[1], '^%d+')))
        redis.call('XTRIM', journal, 'MINID', '~', string.format('%.0f', kept_from))
    end
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
