-- The chart in words, to be compared with the program's.
SELECT code, concat_ws(', ', name, book, kind, normal_side, guard, owner_kind) AS "described!"
FROM chart_account
