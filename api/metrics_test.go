package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"weir/emit"
	"weir/event"
	"weir/pipeline"
	"weir/state"
)

// busy gives a rig everything that has a metric.
func busy(r *rig) {
	now := time.Now()
	s := &r.status.Summary
	s.Events, s.Late, s.Dropped, s.Future, s.Clamped, s.Filtered, s.Refused = 1000, 1, 2, 3, 4, 5, 6
	s.Rejected = map[string]int64{"time": 7, "request line": 8}
	s.Broken = []error{errors.New("a.gz: unexpected EOF")}
	s.Keys, s.Bytes, s.Shed.Keys = 9, 10, 11
	s.Again = 37
	keeps(r.status, now)
	r.status.OnRules, r.status.Pending = 12, 13
	r.status.Partitions = []pipeline.PartitionStatus{
		{Source: "nginx", Watermark: now.Unix() - 100, Lag: 14, Saved: 36}, {Source: "nginx", Partition: 1, Watermark: -1, Lag: -1, Lost: true},
		{Source: "edge", Watermark: now.Unix() - 900, Idle: true},
	}
	r.add(decided("ato.stuffing_source", ip("192.0.2.7")), decided("ato.stuffing_source", ip("10.1.2.3")), decided("ops.probe", ip("192.0.2.250")))
	// The log says more people succeed there than a rule may hit.
	d := decided("ato.low_and_slow", event.Target{{Field: "fingerprint", Text: "t13d"}})
	d.Good, d.Tried, d.Regulars = 50, 1000, 50
	if err := r.ledger.Review(now, func(a *event.Asked) (event.Figures, bool) {
		if a.Decision == nil {
			return event.Figures{Good: 60, Tried: 100}, true
		}
		return event.Figures{Tried: 10}, true
	}); err != nil {
		r.t.Fatal(err)
	}
	r.add(d)
}

// keeps gives a status all that is kept somewhere.
func keeps(st *pipeline.Status, now time.Time) {
	st.Degraded, st.TurnedAway, st.DegradedSince = 3, 15, now.Add(-16*time.Second)
	st.Memory = pipeline.MemoryStatus{AccountedLimit: 17, Limit: 18, Resident: 19, Dirty: 20, Store: 21, StoreLimit: 38}
	st.Aside = []pipeline.AsideStatus{{Where: "/s/store.broken-2", Why: "cut", At: time.Unix(2000, 0), Now: true}, {Where: "/s/store.broken-1", Why: "cut too", At: time.Unix(1000, 0)}}
	st.Decided, st.FailingSince = st.Tick+39, now.Add(-40*time.Second)
	st.Store = state.Stats{Keys: 22, Bytes: 23, Garbage: 41, Disk: 24, Written: 25}
	st.Checkpoint = pipeline.CheckpointStatus{
		Last: now.Add(-27 * time.Second), Took: 26 * time.Millisecond, Stall: 2700 * time.Microsecond, Failed: 28, Tick: 2900, Why: "the disk is full",
	}
	st.Resumed, st.Blind, st.Incomplete = 3000, 3100, map[string]int64{"ato.new": 3200}
	st.Archive = pipeline.ArchiveStatus{On: true, Queue: 33, Bytes: 34, Lag: 35 * time.Second, Why: "no room", Deleted: 42, Pending: 43, Open: 44}
}

func gathered(t *testing.T, r *rig) map[string]string {
	t.Helper()
	rec := httptest.NewRecorder()
	r.srv.metrics.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	values := map[string]string{}
	for line := range strings.Lines(rec.Body.String()) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			values[line[:at]] = strings.TrimSpace(line[at+1:])
		}
	}
	return values
}

func TestMetricsSayHowEverythingStands(t *testing.T) {
	r := newRig(t, nil)
	busy(r)
	if err := r.cfg.Points[0].Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.srv.requests.add("/healthz", 200)
	got := gathered(t, r)
	for name, want := range map[string]string{
		`weir_events_total`:                                         "1000",
		`weir_late_events_total`:                                    "1",
		`weir_dropped_events_total`:                                 "2",
		`weir_future_events_total`:                                  "3",
		`weir_clamped_events_total`:                                 "4",
		`weir_again_events_total`:                                   "37",
		`weir_filtered_events_total`:                                "5",
		`weir_refused_events_total`:                                 "6",
		`weir_rejected_lines_total{reason="time"}`:                  "7",
		`weir_rejected_lines_total{reason="request line"}`:          "8",
		`weir_broken_files`:                                         "1",
		`weir_keys`:                                                 "9",
		`weir_state_bytes`:                                          "10",
		`weir_shed_total{kind="keys"}`:                              "11",
		`weir_shed_total{kind="values"}`:                            "0",
		`weir_degraded`:                                             "1",
		`weir_degraded_units`:                                       "3",
		`weir_turned_away_keys_total`:                               "15",
		`weir_stores_put_aside`:                                     "2",
		`weir_store_put_aside_timestamp_seconds`:                    "2000",
		`weir_rebuild_remaining_seconds`:                            "39",
		`weir_store_memory_limit_bytes`:                             "38",
		`weir_state_limit_bytes`:                                    "17",
		`weir_memory_limit_bytes`:                                   "18",
		`weir_resident_bytes`:                                       "19",
		`weir_dirty_bytes`:                                          "20",
		`weir_store_memory_bytes`:                                   "21",
		`weir_store_keys`:                                           "22",
		`weir_store_bytes`:                                          "23",
		`weir_store_garbage_bytes`:                                  "41",
		`weir_store_disk_bytes`:                                     "24",
		`weir_store_written_bytes_total`:                            "25",
		`weir_checkpoint_duration_seconds`:                          "0.026",
		`weir_checkpoint_stall_seconds`:                             "0.0027",
		`weir_checkpoint_failures_total`:                            "28",
		`weir_checkpoint_failing`:                                   "1",
		`weir_checkpoint_tick_timestamp_seconds`:                    "2900",
		`weir_resumed_timestamp_seconds`:                            "3000",
		`weir_log_gap_timestamp_seconds`:                            "3100",
		`weir_rule_complete_timestamp_seconds{rule="ato.new"}`:      "3200",
		`weir_archive_queue_bytes`:                                  "33",
		`weir_archive_bytes`:                                        "34",
		`weir_archive_lag_seconds`:                                  "35",
		`weir_archive_failing`:                                      "1",
		`weir_archive_deleted_files_total`:                          "42",
		`weir_archive_open_bytes`:                                   "44",
		`weir_archive_pending_files`:                                "43",
		`weir_partition_saved_offset{partition="0",source="nginx"}`: "36",
		`weir_on_rules`:                                             "12",
		`weir_pending_rows`:                                         "13",
		`weir_partition_lag{partition="0",source="nginx"}`:          "14",
		`weir_partition_lag{partition="1",source="nginx"}`:          "",
		`weir_partition_lost{partition="1",source="nginx"}`:         "1",
		`weir_partition_idle{partition="0",source="edge"}`:          "1",
		`weir_watermark_age_seconds{source="edge"}`:                 "", // all idle
		`weir_in_force{action="block"}`:                             "1",
		`weir_in_force{action="limit"}`:                             "0",
		`weir_held_total{guard="protected"}`:                        "1",
		`weir_held_total{guard="breaker"}`:                          "1",
		`weir_held_total{guard="allowed"}`:                          "1",
		`weir_allowed_decisions_total{entry="{\"ip\":\"192.0.2.250\"} (ops: uptime monitor)"}`: "1",
		`weir_breaker_tripped{rule="ato.low_and_slow"}`:                                        "1",
		`weir_breaker_tripped{rule="ato.stuffing_source"}`:                                     "",
		`weir_ledger_well`:      "1",
		`weir_blocking_stopped`: "0",
		`weir_ready`:            "0",
		`weir_point_desired_entries{point="proxy"}`:                                   "1",
		`weir_point_held_entries{point="proxy"}`:                                      "1",
		`weir_point_drift_entries{point="proxy"}`:                                     "0",
		`weir_point_failing{point="proxy"}`:                                           "0",
		`weir_point_lists_applied_total{point="proxy"}`:                               "1",
		`weir_api_requests_total{code="200",route="/healthz"}`:                        "1",
		`weir_decisions_total{mode="enforce",rule="ato.stuffing_source",step="new"}`:  "1",
		`weir_decisions_total{mode="enforce",rule="ato.stuffing_source",step="held"}`: "1",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, must be %q", name, got[name], want)
		}
	}
	var age float64
	if _, err := fmt.Sscan(got[`weir_watermark_age_seconds{source="nginx"}`], &age); err != nil || age < 100 || age > 160 {
		t.Errorf("the watermark's age is %v, %v", age, err)
	}
	if _, err := fmt.Sscan(got[`weir_checkpoint_age_seconds`], &age); err != nil || age < 27 || age > 87 {
		t.Errorf("the checkpoint's age is %v, %v", age, err)
	}
	// What is not known is absent, not none.
	r.point.fail = errors.New("no route")
	if err := r.cfg.Points[0].Once(t.Context()); err == nil {
		t.Fatal("no error")
	}
	got = gathered(t, r)
	if got[`weir_point_drift_entries{point="proxy"}`] != "" || got[`weir_point_failing{point="proxy"}`] != "1" {
		t.Errorf("a point that cannot be read: drift %q, failing %q", got[`weir_point_drift_entries{point="proxy"}`], got[`weir_point_failing{point="proxy"}`])
	}
}

func TestMetricsBeforeAnythingIsKnown(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.cfg.Status = func() *pipeline.Status { return nil }
		r.cfg.Points, r.cfg.Kept = nil, nil
	})
	got := gathered(t, r)
	if got["weir_ready"] != "0" || got["weir_events_total"] != "" || got["weir_ledger_well"] != "1" {
		t.Errorf("%v", got)
	}
}

func TestMetricsAreWellNamedAndDocumented(t *testing.T) {
	r := newRig(t, nil)
	busy(r)
	r.srv.requests.add("/healthz", 200)
	if err := r.cfg.Points[0].Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.CollectAndLint(newCollector(r.srv))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(weir_[a-z_]+)` \\| ([^|]*)\\| [^|]*[^| ] \\|$").FindAllStringSubmatch(string(page), -1)
	documented := map[string][]string{}
	for _, row := range rows {
		if _, twice := documented[row[1]]; twice {
			t.Errorf("docs/METRICS.md has %s twice", row[1])
		}
		documented[row[1]] = strings.Fields(strings.ReplaceAll(row[2], "`", ""))
	}
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(newCollector(r.srv)); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	collected := map[string]bool{}
	for _, f := range families {
		collected[f.GetName()] = true
	}
	for _, m := range catalogue {
		labels, ok := documented[m.name]
		if !ok {
			t.Errorf("docs/METRICS.md lacks %s", m.name)
		} else if !slices.Equal(labels, m.labels) {
			t.Errorf("docs/METRICS.md: %s has labels %v, must be %v", m.name, labels, m.labels)
		}
		if !collected[m.name] {
			t.Errorf("%s is never collected", m.name)
		}
		delete(documented, m.name)
	}
	for name := range maps.Keys(documented) {
		t.Errorf("docs/METRICS.md has %s, which there is not", name)
	}
	for _, m := range regexp.MustCompile(`weir_[a-z_]+`).FindAllString(string(page), -1) {
		if !slices.ContainsFunc(catalogue, func(c metric) bool { return c.name == m }) {
			t.Errorf("docs/METRICS.md speaks of %s, which there is not", m)
		}
	}
}

func TestNoLabelComesOutOfALog(t *testing.T) {
	const marker = "evil-marker"
	r := newRig(t, nil)
	busy(r)
	for i := range 500 {
		text := fmt.Sprintf("%s%d\n# HELP x\x00\xff", marker, i)
		d := decided("ato.stuffing_source", event.Target{{Field: "ip", Text: "192.0.2.7"}, {Field: "agent", Text: text}})
		d.Evidence = []event.Measure{{Name: "tries", Value: 1}}
		r.add(d)
	}
	r.point.fail = errors.New(marker)
	if err := r.cfg.Points[0].Once(t.Context()); err == nil {
		t.Fatal("no error")
	}
	got := gathered(t, r)
	if len(got) < 60 || len(got) > 300 {
		t.Errorf("%d series", len(got))
	}
	for name := range got {
		if strings.Contains(name, marker) {
			t.Errorf("%s", name)
		}
	}
}

func TestReasonsAreBounded(t *testing.T) {
	n := map[string]int64{}
	for i := range maxReasons {
		n[fmt.Sprintf("reason %03d", i)] = 1
	}
	if got := bounded(n); len(got) != maxReasons || got["other"] != 0 {
		t.Errorf("at the limit: %d reasons", len(got))
	}
	for i := range 100 {
		n[fmt.Sprintf("reason x%03d", i)] = 2
	}
	if got := bounded(n); len(got) != maxReasons+1 || got["other"] != 200 {
		t.Errorf("over the limit: %d reasons, %d other", len(got), got["other"])
	}
}

var _ emit.Point = (*memoryPoint)(nil)
