-- A session of a person ends with 30 minutes in which nothing happens, whatever the page's own session_id says.
CREATE TEMPORARY VIEW sessionized AS
WITH marked AS (
  SELECT *, coalesce(timestamp - lag(timestamp) OVER (PARTITION BY user_id ORDER BY timestamp) >= INTERVAL 30 MINUTES, true) AS begins
  FROM demo_iceberg_db.demo_iceberg
)
SELECT *, sum(begins::INTEGER) OVER (PARTITION BY user_id ORDER BY timestamp) AS session FROM marked;

CREATE TEMPORARY VIEW sessions AS
SELECT user_id, session, max(os) AS os, count(*) AS events, date_diff('second', min(timestamp), max(timestamp)) / 60 AS minutes
FROM sessionized
GROUP BY user_id, session;
