#!/bin/bash
# Draws the Grafana dashboards from a running Prometheus into PNG files, with chromium: scripts/dashboards/draw.sh URL [SECONDS [DIRECTORY]]
# For docs/images: `make demo` in another terminal, wait some minutes, and give it the demo's Prometheus.
set -euo pipefail
cd "$(dirname "$0")"
prometheus=${1:?usage: draw.sh PROMETHEUS_URL [SECONDS [DIRECTORY]]}
seconds=${2:-600}
out=${3:-../../docs/images}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for dashboard in fleet producer rpc-chain actuator-liveness; do
  page=$work/$dashboard.html
  {
    cat draw.html
    printf '<script>draw('
    cat "../../deploy/grafana/dashboards/$dashboard.json"
    printf ', "%s", %d);</script>\n' "$prometheus" "$seconds"
  } >"$page"
  # As high as the lowest panel: 38 pixels for each unit of the grid, and what stands above and below.
  height=$(($(grep -o '"h": [0-9]*, "w": [0-9]*, "x": [0-9]*, "y": [0-9]*' "../../deploy/grafana/dashboards/$dashboard.json" |
    awk -F'[ ,]+' '{ low = $2 + $8; if (low > max) max = low } END { print max }') * 38 + 92))
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --window-size=1400,"$height" --virtual-time-budget=60000 --screenshot="$out/dashboard-$dashboard.png" "file://$page" 2>"$work/log" ||
    { cat "$work/log" >&2; exit 1; }
  echo "$out/dashboard-$dashboard.png"
done
