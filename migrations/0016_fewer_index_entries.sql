-- Each payment had an entry in an index by member, whose pages are as many as there are members: of
-- what PostgreSQL does for a payment on a hot campaign a twentieth. What became of a member's money
-- stands on the member's accounts, and their lines name the payments. Only a charge that failed at
-- once has no lines, and those are few.
DROP INDEX payments_of_a_member;
CREATE INDEX failed_payments_of_a_member ON payment (campaign_id, member_id, payment_id)
WHERE state = 'failed';
