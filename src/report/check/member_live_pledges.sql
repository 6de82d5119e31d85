-- A member's count of live pledges is their number, those that became shares included.
SELECT 'members/' || member.member_id, member.live_pledges, coalesce(pledged.live, 0)
FROM member
LEFT JOIN (
    SELECT member_id, count(*) AS live FROM pledge
    WHERE campaign_id = $1 AND state IN ('committed', 'part_paid', 'paid', 'errored', 'part_allotted', 'allotted')
    GROUP BY member_id
) AS pledged ON pledged.member_id = member.member_id
WHERE member.campaign_id = $1 AND member.live_pledges <> coalesce(pledged.live, 0)
