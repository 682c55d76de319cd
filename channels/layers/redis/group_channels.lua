-- The names of a group's members.
-- KEYS: the group. ARGV: P, S, group.
local names = {}
for _, member in ipairs(members_of(ARGV[3])) do
    local owner, sockets = member[1], member[2]
    if not is_process(owner) then
        names[#names + 1] = owner
    end
    for _, socket in ipairs(sockets) do
        names[#names + 1] = owner .. socket
    end
end
return names
