-- A check reads everything: hashes and sorts of some size stay in memory, and a
-- planner without fresh statistics cannot fall for a nested loop over two large
-- tables. The settings end with the database transaction.
SET LOCAL work_mem = '64MB';
SET LOCAL enable_nestloop = off;
SET LOCAL jit = off;
