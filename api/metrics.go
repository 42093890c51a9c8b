package api

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/emit"
	"weir/pipeline"
)

// newMetrics makes the handler of /metrics: weir's own figures, the process's
// and the Go runtime's, of this server only.
func (a *Server) newMetrics() (http.Handler, error) {
	reg := prometheus.NewPedanticRegistry()
	for _, c := range []prometheus.Collector{
		newCollector(a), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: writeTimeout / 2}), nil
}

// collector reads how everything stands when it is asked: nothing is kept
// twice, and nothing is counted that weir's own answers do not say too.
type collector struct {
	api   *Server
	descs map[string]*prometheus.Desc
	kinds map[string]prometheus.ValueType
}

func newCollector(a *Server) *collector {
	c := &collector{a, map[string]*prometheus.Desc{}, map[string]prometheus.ValueType{}}
	for _, m := range catalogue {
		c.descs[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, nil)
		c.kinds[m.name] = m.kind
	}
	return c
}

// Describe tells the registry of all metrics.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range catalogue {
		ch <- c.descs[m.name]
	}
}

// put writes one figure.
type put func(name string, value float64, labels ...string)

// Collect writes how everything stands now.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	put := func(name string, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[name], c.kinds[name], value, labels...)
	}
	a, now := c.api, c.api.cfg.Now()
	st := a.cfg.Status()
	put("weir_build_info", 1, a.cfg.Version, runtime.Version())
	put("weir_ready", one(len(a.reasons(st, now)) == 0))
	put("weir_start_timestamp_seconds", unix(a.cfg.Started))
	if st != nil {
		putEngine(put, st, now)
	}
	putLedger(put, a.cfg.Ledger, a.cfg.Allow)
	for _, r := range a.cfg.Points {
		putPoint(put, r.Status())
	}
	a.requests.each(func(route string, code int, n int64) {
		put("weir_api_requests_total", float64(n), route, strconv.Itoa(code))
	})
	put("weir_api_refused_connections_total", float64(a.refused.Load()))
}

func putEngine(put put, st *pipeline.Status, now time.Time) {
	s := &st.Summary
	put("weir_status_age_seconds", max(0, now.Sub(st.At).Seconds()))
	if t := second(st.Tick); !t.IsZero() {
		put("weir_tick_timestamp_seconds", unix(t))
	}
	for _, src := range summarise(st.Partitions) {
		if !src.Watermark.IsZero() {
			put("weir_watermark_age_seconds", now.Sub(src.Watermark).Seconds(), src.Name)
		}
	}
	for _, p := range st.Partitions {
		labels := []string{p.Source, strconv.Itoa(int(p.Partition))}
		if w := second(p.Watermark); !w.IsZero() {
			put("weir_partition_watermark_age_seconds", now.Sub(w).Seconds(), labels...)
		}
		if p.Lag >= 0 {
			put("weir_partition_lag", float64(p.Lag), labels...)
		}
		put("weir_partition_saved_offset", float64(p.Saved), labels...)
		put("weir_partition_idle", one(p.Idle), labels...)
		put("weir_partition_lost", one(p.Lost), labels...)
	}
	put("weir_broken_files", float64(len(s.Broken)))
	put("weir_events_total", float64(s.Events))
	put("weir_late_events_total", float64(s.Late))
	put("weir_dropped_events_total", float64(s.Dropped))
	put("weir_future_events_total", float64(s.Future))
	put("weir_clamped_events_total", float64(s.Clamped))
	put("weir_again_events_total", float64(s.Again))
	put("weir_filtered_events_total", float64(s.Filtered))
	put("weir_refused_events_total", float64(s.Refused))
	for reason, n := range bounded(s.Rejected) {
		put("weir_rejected_lines_total", float64(n), reason)
	}
	put("weir_keys", float64(s.Keys))
	for kind, n := range shedKinds(s) {
		put("weir_shed_total", float64(n), kind)
	}
	putKeeping(put, st, now)
	put("weir_on_rules", float64(st.OnRules))
	put("weir_pending_rows", float64(st.Pending))
}

// maxReasons is how many different words a label may have. Reasons are few and
// fixed; should one ever hold more than a word of weir's own, it ends here.
const maxReasons = 64

// bounded adds up what is beyond maxReasons as "other".
func bounded(n map[string]int64) map[string]int64 {
	if len(n) <= maxReasons {
		return n
	}
	out := map[string]int64{}
	for i, reason := range slices.Sorted(maps.Keys(n)) {
		if i >= maxReasons {
			out["other"] += n[reason]
		} else {
			out[reason] += n[reason]
		}
	}
	return out
}

func putPoint(put put, s emit.PointStatus) {
	put("weir_point_desired_entries", float64(s.Desired), s.Name)
	put("weir_point_held_entries", float64(s.Held), s.Name)
	if s.Drift >= 0 {
		put("weir_point_drift_entries", float64(s.Drift), s.Name)
	}
	put("weir_point_inexpressible_entries", float64(s.Inexpressible), s.Name)
	put("weir_point_shed_entries", float64(s.Shed), s.Name)
	put("weir_point_fault_entries", float64(s.Faults), s.Name)
	put("weir_point_failing", one(s.Error != ""), s.Name)
	if !s.Seen.IsZero() {
		put("weir_point_read_timestamp_seconds", unix(s.Seen), s.Name)
	}
	put("weir_point_lists_applied_total", float64(s.Applied), s.Name)
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
