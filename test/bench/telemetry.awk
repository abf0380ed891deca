# Medians of the lines of scripts/bench-telemetry: a table, then the line of ratios. A phase that was not run gives "-".
{
  key = $1 " " $2 " " $3
  value[key, ++count[key]] = $4
  if (count[key] == 1) rows[++n] = key
}
function median(key,    m, i, j, t, v) {
  m = count[key]
  if (m == 0) return ""
  for (i = 1; i <= m; i++) v[i] = value[key, i] + 0
  for (i = 2; i <= m; i++) for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
  return m % 2 ? v[(m + 1) / 2] : (v[m / 2] + v[m / 2 + 1]) / 2
}
function ratio(a, b) { a = median(a); b = median(b); return a == "" || b == "" || b == 0 ? "-" : sprintf("%.2f", a / b) }
function figure(a) { a = median(a); return a == "" ? "-" : sprintf("%.0f", a) }
END {
  printf "\n%-10s %-8s %-10s %12s\n", "phase", "clients", "into", "per second"
  for (i = 1; i <= n; i++) {
    split(rows[i], r, " ")
    printf "%-10s %-8s %-10s %12.0f\n", r[1], r[2], r[1] == "insert" || r[3] == "table" ? "table" : "telemetry", median(rows[i])
  }
  printf "\nwith 4 clients: call_vs_insert=%s copy_reports_per_s=%s copy_vs_copy_into_table=%s\n", ratio("call 4 statement", "insert 4 statement"), figure("copy 4 report"), ratio("copy 4 report", "copy 4 table")
  printf "telemetry: call_vs_insert=%s copy_reports_per_s=%s copy_vs_copy_into_table=%s arrays_reports_per_s=%s copy_shuffled_vs_copy_into_table=%s arrays_vs_insert_of_arrays=%s first_reports_per_s=%s\n", ratio("call 1 statement", "insert 1 statement"), figure("copy 1 report"), ratio("copy 1 report", "copy 1 table"), figure("arrays 1 report"), ratio("shuffled 1 report", "shuffled 1 table"), ratio("arrays 1 report", "arrays 1 table"), figure("first 1 report")
}
