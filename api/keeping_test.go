package api

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"weir/pipeline"
)

func TestTheStatusSaysWhatIsKeptWhere(t *testing.T) {
	r := newRig(t, nil).run()
	now := time.Now()
	keeps(r.status, now)
	r.status.Summary.Bytes = 10
	r.status.Partitions[0].Saved = 36
	code, text, _ := r.ask(overTCP, "GET", "/api/v1/status", "")
	if code != http.StatusOK {
		t.Fatal(code, text)
	}
	e := decode[Status](t, text).Engine
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	want := Keeping{
		Checkpoint: Checkpoint{At: now.Add(-27 * time.Second).UTC(), Tick: at(2900), Seconds: 0.026, Stall: 0.0027, Failed: 28, Why: "the disk is full", Since: now.Add(-40 * time.Second).UTC()},
		Memory:     Memory{Limit: 18, Resident: 19, Dirty: 20, Store: 21, StoreLimit: 38, Accounted: 10, AccountedLimit: 17},
		Store:      Store{22, 23, 41, 24, 25}, Archive: &Archive{33, 34, 35, "no room", 42, 43, 44},
		Resumed: at(3000), Gap: at(3100), Incomplete: []Incomplete{{"ato.new", at(3200)}},
		Units: 3, TurnedAway: 15, Degraded: now.Add(-16 * time.Second).UTC(),
		Aside:   []Aside{{"/s/store.broken-2", "cut", at(2000), true}, {"/s/store.broken-1", "cut too", at(1000), false}},
		Rebuild: &Rebuild{at(r.status.Tick), at(r.status.Tick + 39)},
	}
	for _, times := range [][2]*time.Time{{&e.Keeping.Degraded, &want.Degraded}, {&e.Keeping.Checkpoint.Since, &want.Checkpoint.Since}} {
		if times[0].Sub(*times[1]).Abs() > time.Microsecond { // the wall clock's, without its monotonic part
			t.Errorf("%v, must be %v", times[0], times[1])
		}
		*times[0] = *times[1]
	}
	if e.Keeping.Checkpoint.At.Sub(want.Checkpoint.At).Abs() > time.Microsecond {
		t.Errorf("the checkpoint was at %v, must be %v", e.Keeping.Checkpoint.At, want.Checkpoint.At)
	}
	e.Keeping.Checkpoint.At = want.Checkpoint.At
	if !reflect.DeepEqual(e.Keeping, want) || !e.Degraded || e.Partitions[0].Saved != 36 || e.StateBytes != 10 {
		t.Errorf("%+v,\nmust be\n%+v", e.Keeping, want)
	}
}

func TestWhatARunDoesNotHaveIsAbsent(t *testing.T) {
	r := newRig(t, nil)
	k := keeping(r.status)
	if !k.Checkpoint.At.IsZero() || !k.Resumed.IsZero() || !k.Gap.IsZero() || k.Archive != nil || k.Incomplete == nil {
		t.Errorf("%+v", k)
	}
	got := gathered(t, r)
	for _, name := range []string{
		"weir_checkpoint_age_seconds", "weir_checkpoint_tick_timestamp_seconds", "weir_checkpoint_duration_seconds", "weir_resumed_timestamp_seconds",
		"weir_log_gap_timestamp_seconds", "weir_store_put_aside_timestamp_seconds", "weir_degraded_since_timestamp_seconds", "weir_archive_queue_bytes", "weir_archive_bytes", "weir_archive_open_bytes", "weir_archive_lag_seconds", "weir_archive_failing",
	} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is %s, must be absent", name, v)
		}
	}
	if got["weir_checkpoint_failing"] != "0" || got["weir_degraded"] != "0" || got["weir_degraded_units"] != "0" ||
		got["weir_stores_put_aside"] != "0" || got["weir_rebuild_remaining_seconds"] != "0" {
		t.Errorf("%v", got)
	}
}

func TestRulesThatWarmUpAreNamedUpToALimit(t *testing.T) {
	st := &pipeline.Status{Incomplete: map[string]int64{}}
	for i := range maxPartitions {
		st.Incomplete[fmt.Sprintf("own.rule%04d", i)] = 1000 + int64(i/2)
	}
	k := keeping(st)
	if len(k.Incomplete) != maxPartitions || k.Incomplete[0].Rule != fmt.Sprintf("own.rule%04d", maxPartitions-2) {
		t.Errorf("at the limit: %d, first %v", len(k.Incomplete), k.Incomplete[0])
	}
	st.Incomplete["own.last"] = 1
	if k = keeping(st); len(k.Incomplete) != maxPartitions {
		t.Errorf("over the limit: %d", len(k.Incomplete))
	}
}

func TestTheStatusSaysWhatTheProcessTakes(t *testing.T) {
	r := newRig(t, nil).run()
	_, text, _ := r.ask(overTCP, "GET", "/api/v1/status", "")
	if p := decode[Status](t, text).Process; p.Heap < 100<<10 || p.Resident < p.Heap/4 {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsDecidedAgainEndsWhereDecisionsHadLeft(t *testing.T) {
	st := &pipeline.Status{Tick: -1, Decided: 500}
	if r := rebuild(st); r == nil || !r.Tick.IsZero() || r.To.Unix() != 500 {
		t.Errorf("before the first event: %+v", r)
	}
	st.Tick = 499
	if r := rebuild(st); r == nil || r.Tick.Unix() != 499 {
		t.Errorf("a second before: %+v", r)
	}
	st.Tick = 500
	if r := rebuild(st); r != nil {
		t.Errorf("at the last: %+v", r)
	}
}
