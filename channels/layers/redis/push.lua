-- Queue messages, in their order. Returns for each of them -1, or -2 for an owner that is in the
-- group no more, or the depth of a queue that is full: it takes no other message of this call, so
-- that they keep their order.
-- KEYS: the counter of all channels, the announced processes; for each owner its queue, groups,
-- journal and counter.
-- ARGV: expiry, how long a queue is evidence, number of runs; for each run of messages to one owner
-- the number of the owner, its limit, the group of which it is a member ("" for none), the number
-- of messages, and these: target, newline and body, or for a member the number of a body; the
-- bodies.
local SENT, GONE = -1, -2
local expiry, evidence, runs = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local head = entry_head(now + expiry)
local owners = {}
local results = {}

local function owner_with(number)
    local first = 3 + (number - 1) * 4
    local owner = {
        queue = KEYS[first], joined = KEYS[first + 1], journal = KEYS[first + 2],
        counter = KEYS[first + 3], entries = {}, refused = 0,
    }
    owner.depth = redis.call('LLEN', owner.queue)
    owners[number] = owner
    return owner
end

-- Whether there is no room. What was expired goes, and what was to be read ends memberships.
local function is_full(owner, limit)
    if owner.depth < limit then
        return false
    end
    if drop_expired(owner.queue) then
        end_memberships(owner.queue, owner.joined)
        owner.depth = redis.call('LLEN', owner.queue) + #owner.entries
    end
    return owner.depth >= limit
end

-- The target of a message to a group, for one of its members; nothing when it is none any more.
local function target_in(group, owner)
    if not is_member(KEYS[2], owner.queue, owner.joined, group) then
        return nil
    end
    local is_process = string.sub(owner.queue, -1) == '!'
    return is_process and '@' .. group .. ' ' .. place_in(owner.journal) or ''
end

local function push(owner, limit, entry)
    if owner.full or is_full(owner, limit) then
        owner.full = owner.full or owner.depth
        owner.refused = owner.refused + 1
        return owner.full
    end
    owner.entries[#owner.entries + 1] = entry
    owner.depth = owner.depth + 1
    return SENT
end

local function push_to_member(owner, limit, group, body)
    local target = target_in(group, owner)
    return target and push(owner, limit, head .. target .. '\n' .. body) or GONE
end

local bodies = tonumber(ARGV[#ARGV])
local at = 4
for _ = 1, runs do
    local number, limit = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local group, count_here = ARGV[at + 2], tonumber(ARGV[at + 3])
    local owner = owners[number] or owner_with(number)
    for message = at + 4, at + 3 + count_here do
        results[#results + 1] = group == '' and push(owner, limit, head .. ARGV[message])
            or group ~= '' and push_to_member(owner, limit, group, ARGV[bodies + ARGV[message]])
    end
    at = at + 4 + count_here
end

local sent, refused = 0, 0
for _, owner in pairs(owners) do
    local count_here = #owner.entries
    if count_here > 0 then
        redis.call('RPUSH', owner.queue, unpack(owner.entries))
        keep_queue(owner.queue, owner.joined, expiry, evidence)
        count(owner.counter, 'messages_count', count_here)
    end
    if owner.refused > 0 then
        count(owner.counter, 'channel_full_count', owner.refused)
    end
    sent, refused = sent + count_here, refused + owner.refused
end
if sent > 0 then
    count(KEYS[1], 'messages_count', sent)
end
if refused > 0 then
    count(KEYS[1], 'channel_full_count', refused)
end
return results
