SELECT os, count(*) AS sessions, count(DISTINCT user_id) AS people, round(avg(events), 1) AS events_each,
  round(median(minutes), 1) AS median_minutes, round(100 * avg((events = 1)::INTEGER)) AS bounced_percent
FROM sessions
GROUP BY os
ORDER BY sessions DESC;
