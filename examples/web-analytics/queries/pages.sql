SELECT uri, count(*) FILTER (event IN ('visit', 'list', 'view')) AS views, count(DISTINCT user_id) AS people,
  count(*) FILTER (event = 'like') AS likes, count(*) FILTER (event = 'cart') AS carts
FROM demo_iceberg_db.demo_iceberg
GROUP BY uri
ORDER BY views DESC, uri
LIMIT 8;
