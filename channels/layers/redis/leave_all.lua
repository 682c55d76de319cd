-- End all memberships of an owner, which has let a message expire.
-- KEYS: its groups. ARGV: P, S, owner.
leave_all(ARGV[3])
return 0
