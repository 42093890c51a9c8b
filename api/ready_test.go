package api

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"weir/pipeline"
)

func TestReadinessSaysWhyNot(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	at := func(age time.Duration) int64 { return now.Add(-age).Unix() }
	for _, c := range []struct {
		name   string
		st     func(*pipeline.Status)
		absent error
		says   string // empty: ready
	}{
		{name: "all is well"},
		{name: "a status at the limit", st: func(s *pipeline.Status) { s.At = now.Add(-maxStatusAge) }},
		{name: "an engine that hangs", st: func(s *pipeline.Status) { s.At = now.Add(-maxStatusAge - time.Second) }, says: "has not said how it stands for 11s"},
		{name: "behind, at the limit", st: func(s *pipeline.Status) {
			s.Partitions[0] = pipeline.PartitionStatus{Source: "nginx", Lag: 5, Watermark: at(maxBehind)}
		}},
		{name: "behind, over the limit", st: func(s *pipeline.Status) {
			s.Partitions[0] = pipeline.PartitionStatus{Source: "nginx", Lag: 5, Watermark: at(maxBehind + 2*time.Second)}
		}, says: "source nginx is catching up: it has 5 bytes still to read and is 1m"},
		{name: "old, with nothing to read", st: func(s *pipeline.Status) {
			s.Partitions[0] = pipeline.PartitionStatus{Source: "nginx", Lag: 0, Watermark: at(time.Hour)}
		}},
		{name: "old, and nobody knows whether there is more", st: func(s *pipeline.Status) {
			s.Partitions[0] = pipeline.PartitionStatus{Source: "nginx", Lag: -1, Watermark: at(time.Hour)}
		}},
		{name: "not begun", st: func(s *pipeline.Status) {
			s.Partitions[0] = pipeline.PartitionStatus{Source: "nginx", Lag: 7, Watermark: -1}
		}, says: "it has 7 bytes still to read and has not come to its first event"},
		{name: "one of two lost", st: func(s *pipeline.Status) { s.Partitions[1].Lost = true }, says: "source nginx: 1 of 2 partitions cannot be asked"},
		{name: "no log", absent: fs.ErrNotExist, says: "source nginx: there is no such log (file does not exist): it is read when it comes"},
		{name: "no line that could be read", st: func(s *pipeline.Status) {
			s.Summary.Rejected = map[string]int64{"json": 4000, "time": 1000, "directive": 9000}
		}, says: `no line of the log could be read: 5000 rejected, most for "json" (weir check says more)`},
		{name: "some lines that could not be read", st: func(s *pipeline.Status) {
			s.Summary.Rejected, s.Summary.Events = map[string]int64{"json": 4000}, 1
		}},
		{name: "lines that were read and came too late", st: func(s *pipeline.Status) {
			s.Summary.Rejected, s.Summary.Dropped = map[string]int64{"json": 4000}, 1
		}},
		{name: "comments alone", st: func(s *pipeline.Status) { s.Summary.Rejected = map[string]int64{"directive": 4} }},
	} {
		r := newRig(t, func(r *rig) {
			r.cfg.Now = func() time.Time { return now }
			r.cfg.Absent = func() map[string]error {
				if c.absent == nil {
					return nil
				}
				return map[string]error{"nginx": c.absent}
			}
			r.status.At = now
		})
		if c.st != nil {
			c.st(r.status)
		}
		reasons := r.srv.reasons(r.status, now)
		switch {
		case c.says == "" && len(reasons) > 0:
			t.Errorf("%s: %v", c.name, reasons)
		case c.says != "" && (len(reasons) != 1 || !strings.Contains(reasons[0], c.says)):
			t.Errorf("%s: %q", c.name, reasons)
		}
	}
	r := newRig(t, func(r *rig) { r.cfg.Status = func() *pipeline.Status { return nil } }).run()
	code, text, _ := r.ask(overTCP, "GET", "/readyz", "")
	if doc := decode[Readiness](t, text); code != 503 || doc.Ready || len(doc.Reasons) != 1 || !strings.Contains(doc.Reasons[0], "has not started") {
		t.Errorf("before the first status: %d %s", code, text)
	}
	if code, text, _ := r.ask(overTCP, "GET", "/healthz", ""); code != 200 || !strings.Contains(text, `"status":"ok"`) {
		t.Errorf("/healthz: %d %s", code, text)
	}
	r = newRig(t, nil).run()
	if code, text, _ := r.ask(overTCP, "GET", "/readyz", ""); code != 200 || text != `{"ready":true,"reasons":[]}`+"\n" {
		t.Errorf("ready: %d %s", code, text)
	}
}

func TestTheStatusSaysWhichLogIsAbsent(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.cfg.Absent = func() map[string]error { return map[string]error{"nginx": fs.ErrNotExist} }
		r.status.Partitions = append(r.status.Partitions, pipeline.PartitionStatus{Source: "edge"})
	}).run()
	s := decode[Status](t, second2(r.ask(overTCP, "GET", "/api/v1/status", "")))
	if len(s.Engine.Sources) != 2 || s.Engine.Sources[0].Absent != fs.ErrNotExist.Error() || s.Engine.Sources[1].Absent != "" || s.Readiness.Ready {
		t.Errorf("%+v %+v", s.Engine.Sources, s.Readiness)
	}
}

func TestSourcesAreSummedUp(t *testing.T) {
	ps := []pipeline.PartitionStatus{
		{Source: "b", Watermark: 1000, Lag: 3},
		{Source: "a", Watermark: -1, Lag: -1, Lost: true},
		{Source: "b", Partition: 1, Watermark: 900, Lag: 0},
		{Source: "b", Partition: 2, Watermark: 100, Idle: true},
		{Source: "b", Partition: 3, Watermark: 950, Lag: 4},
	}
	got := summarise(ps)
	if len(got) != 2 || got[0].Name != "b" || got[1].Name != "a" {
		t.Fatalf("%+v", got)
	}
	b := got[0]
	if b.Partitions != 4 || b.Idle != 1 || b.Lag != 7 || b.Unknown != 0 || b.Watermark.Unix() != 900 {
		t.Errorf("%+v", b)
	}
	if b.Behind.Partitions != 2 || b.Behind.Lag != 7 || b.Behind.Watermark.Unix() != 950 {
		t.Errorf("%+v", b.Behind)
	}
	if a := got[1]; a.Lost != 1 || a.Unknown != 1 || !a.Watermark.IsZero() || a.Behind.Partitions != 0 {
		t.Errorf("%+v", a)
	}
}

func TestTheRateIsOfTheLastMinute(t *testing.T) {
	var r rate
	start := testTime
	if got := r.of(start, 100); got != 0 {
		t.Errorf("without a point: %v", got)
	}
	for i := range 1000 {
		at := start.Add(time.Duration(i) * rateStep)
		events := int64(i * 50) // 10 a second
		if i > 900 {
			events = int64(900*50 + (i-900)*500) // 100 a second
		}
		r.note(at, events)
		r.note(at, events) // an engine that stands still says the same again
	}
	if n := len(r.points); n > int(rateSpan/rateStep)+1 {
		t.Errorf("%d points are kept", n)
	}
	if span := start.Add(999 * rateStep).Sub(r.points[0].at); span != rateSpan {
		t.Errorf("the oldest point is %v old, must be %v", span, rateSpan)
	}
	if got := r.of(start.Add(999*rateStep), 900*50+99*500); got != 100 {
		t.Errorf("%v events a second, must be 100", got)
	}
}

func TestTheStatusHasEverything(t *testing.T) {
	r := newRig(t, nil)
	busy(r) // before the server looks
	r.status.Partitions = append(r.status.Partitions, make([]pipeline.PartitionStatus, 2*maxPartitions)...)
	r.run()
	s := decode[Status](t, second2(r.ask(overTCP, "GET", "/api/v1/status", "")))
	if s.Version != "1.2.3" || s.Readiness.Ready || s.Engine == nil || len(s.Points) != 1 {
		t.Fatalf("%+v", s)
	}
	e := s.Engine
	if e.Events != 1000 || !e.Degraded || e.Shed["keys"] != 11 || e.Rejected["time"] != 7 || len(e.Broken) != 1 || len(e.Partitions) != maxPartitions {
		t.Errorf("%+v", e)
	}
	if p := e.Partitions; p[0].Lag == nil || *p[0].Lag != 14 || p[1].Lag != nil || !p[1].Watermark.IsZero() {
		t.Errorf("%+v", p[:2])
	}
	f := s.Force
	if !f.Well || f.Stopped != nil || f.InForce["block"] != 1 || f.Held["protected"] != 1 || len(f.Tripped) != 1 || f.Tripped[0].Rule != "ato.low_and_slow" {
		t.Errorf("%+v", f)
	}
	if err := r.ledger.Stop("alice", "it hurts"); err != nil {
		t.Fatal(err)
	}
	s = decode[Status](t, second2(r.ask(overTCP, "GET", "/api/v1/status", "")))
	if st := s.Force.Stopped; st == nil || st.By != "alice" || st.Reason != "it hurts" || len(s.Force.InForce) != 0 {
		t.Errorf("%+v", s.Force)
	}
}

func TestHowFarBehindIsSaidInDaysWhereItIsLong(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90*time.Second + time.Millisecond: "1m30s", 72*time.Hour - time.Second: "71h59m59s", 72 * time.Hour: "3 days", 93834 * time.Hour: "3909 days",
	} {
		if got := longText(d); got != want {
			t.Errorf("%v: %q, must be %q", d, got, want)
		}
	}
}
