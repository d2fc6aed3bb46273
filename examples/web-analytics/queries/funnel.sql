-- A session counts for a step when it reached the steps before it, no later.
WITH first_times AS (
  SELECT min(timestamp) FILTER (event = 'visit') AS visit, min(timestamp) FILTER (event = 'view') AS view,
    max(timestamp) FILTER (event = 'cart') AS cart, max(timestamp) FILTER (event = 'purchase') AS purchase
  FROM sessionized
  GROUP BY user_id, session
), reached AS (
  SELECT visit IS NOT NULL AS visit, view >= visit AS view, view >= visit AND cart >= view AS cart,
    view >= visit AND cart >= view AND purchase >= cart AS purchase
  FROM first_times
), steps AS (
  UNPIVOT (SELECT count_if(visit) AS visit, count_if(view) AS view, count_if(cart) AS cart, count_if(purchase) AS purchase FROM reached)
  ON visit, view, cart, purchase INTO NAME step VALUE sessions
)
SELECT step, sessions, round(100 * sessions / max(sessions) OVER (), 1) AS percent, bar(sessions, 0, max(sessions) OVER (), 30) AS share
FROM steps
ORDER BY sessions DESC;
