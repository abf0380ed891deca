# Medians of the lines of scripts/bench-ship: a table, then the line of ratios. A phase that was not run gives "-".
{
  for (i = 3; i <= NF; i++) {
    key = $1 " " $2 " " i
    value[key, ++count[key]] = $i
  }
  if (!(($1, $2) in seen)) { seen[$1, $2] = 1; rows[++n] = $1 " " $2 }
}
function median(phase, who, column,    key, m, i, j, t, v) {
  key = phase " " who " " column
  m = count[key]
  if (m == 0) return ""
  for (i = 1; i <= m; i++) v[i] = value[key, i] + 0
  for (i = 2; i <= m; i++) for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
  return m % 2 ? v[(m + 1) / 2] : (v[m / 2] + v[m / 2 + 1]) / 2
}
function ratio(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf("%.2f", a / b) }
function rate(phase, who, amount,    s) { s = median(phase, who, 3); return s == "" ? "-" : sprintf("%.0f", amount / s) }
END {
  printf "\n%-8s %-18s %12s %12s %12s %12s\n", "phase", "system", "seconds", "per second", "cpu a (s)", "cpu b (s)"
  amount["drain"] = drain; amount["bulk"] = bulk; amount["hot"] = hot; amount["debt"] = drain
  for (i = 1; i <= n; i++) {
    split(rows[i], r, " ")
    if (r[1] in amount)
      printf "%-8s %-18s %12.2f %12s %12.2f %12.2f\n", r[1], r[2], median(r[1], r[2], 3), rate(r[1], r[2], amount[r[1]]), median(r[1], r[2], 4), median(r[1], r[2], 5)
    else if (r[1] == "lag")
      printf "%-8s %-18s p50 %.2f ms, p99 %.2f ms\n", r[1], r[2], median(r[1], r[2], 3) / 1000, median(r[1], r[2], 4) / 1000
    else if (r[1] ~ /^peers/)
      printf "%-8s %-18s cpu of the sending node %.2f s\n", r[1], r[2], median(r[1], r[2], 3)
    else
      printf "%-8s %-18s %.1f us a statement\n", r[1], r[2], median(r[1], r[2], 3) * 1000
  }
  many = "peers" peers
  printf "\nwriter: insert_vs_plain=%s update_vs_plain=%s\n", ratio(median("insert", "writer_vectorshard", 3), median("insert", "writer_plain", 3)), ratio(median("update", "writer_vectorshard", 3), median("update", "writer_plain", 3))
  printf "pglogical: drain_vs_pglogical=%s bulk_vs_pglogical=%s hot_vs_pglogical=%s lag_p99_vs_pglogical=%s\n", ratio(median("drain", "pglogical", 3), median("drain", "vectorshard", 3)), ratio(median("bulk", "pglogical", 3), median("bulk", "vectorshard", 3)), ratio(median("hot", "pglogical", 3), median("hot", "vectorshard", 3)), ratio(median("lag", "vectorshard", 4), median("lag", "pglogical", 4))
  printf "ship: drain_vs_native=%s bulk_vs_native=%s lag_p50_vs_native=%s lag_p99_vs_native=%s sender_cpu_%d_peers_over_1=%s native_cpu_%d_over_1=%s hot_vs_native=%s\n", ratio(median("drain", "native", 3), median("drain", "vectorshard", 3)), ratio(median("bulk", "native", 3), median("bulk", "vectorshard", 3)), ratio(median("lag", "vectorshard", 3), median("lag", "native", 3)), ratio(median("lag", "vectorshard", 4), median("lag", "native", 4)), peers, ratio(median(many, "vectorshard", 3), median("peers1", "vectorshard", 3)), peers, ratio(median(many, "native", 3), median("peers1", "native", 3)), ratio(median("hot", "native", 3), median("hot", "vectorshard", 3))
}
