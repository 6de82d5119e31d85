-- Each payment had an entry in an index by member, whose pages are as many as there are members: of
-- what PostgreSQL does for a payment on a hot campaign a twentieth. A payment's money arrives on its
-- member's accounts, and their lines name the payment. Only a charge that failed at once has no
-- entry and so no lines, and those are few.
CREATE INDEX payments_without_an_entry ON payment (campaign_id, member_id, payment_id)
WHERE entry_no = 0;
DROP INDEX payments_of_a_member;
