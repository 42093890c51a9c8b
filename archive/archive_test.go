package archive

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
)

func TestEveryFieldComesBackAsItWas(t *testing.T) {
	for _, appendTimes := range []bool{true, false} {
		dir := t.TempDir()
		a := opened(t, config(dir, "edge", "a/b ..%"), nil)
		r := rand.New(rand.NewPCG(1, 2))
		want := make(map[Part]stream)
		var wait sync.WaitGroup
		for _, part := range []Part{{"edge", 0}, {"edge", 5}, {"a/b ..%", 1}} {
			var st stream
			var order []int
			type batch struct{ from, to int }
			var batches []batch
			at := start
			for len(st.events) < 6_000 {
				from := len(st.events)
				for range r.IntN(1500) {
					at += int64(r.IntN(int(3 * time.Second)))
					e := random(r, int64(len(st.events)*7), max(0, at-int64(r.IntN(int(time.Hour)))))
					st.events = append(st.events, e)
					if appendTimes {
						st.appended = append(st.appended, []int64{e.Time + 5, ingest.NoAppend}[r.IntN(2)])
					}
				}
				order = append(order, len(batches))
				batches = append(batches, batch{from, len(st.events)})
			}
			want[part] = st
			for i := range order { // nearly in order, as mappers are
				j := min(len(order)-1, i+r.IntN(4))
				order[i], order[j] = order[j], order[i]
			}
			wait.Go(func() {
				for _, seq := range order {
					b := batches[seq]
					var times []int64
					if appendTimes {
						times = st.appended[b.from:b.to]
					}
					if err := a.Add(t.Context(), part, uint64(seq), st.events[b.from:b.to], times); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		must(t, a.Sync(t.Context(), nil))
		must(t, a.Finish(t.Context()))
		same(t, readAll(t, 1000, dir), want)
		if n := len(parquets(t, dir)); n < 2 {
			t.Errorf("%d files, must be several", n)
		}
	}
}

func TestBatchesOfAnySizeReadTheSame(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	r := rand.New(rand.NewPCG(3, 4))
	var st stream
	for i := range 5000 {
		st.events = append(st.events, random(r, int64(i), start+int64(i)))
	}
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, st.events, nil))
	must(t, a.Finish(t.Context()))
	for _, size := range []int{1, 7, 1023, 1024, 1025, 4096, 100_000} {
		same(t, readAll(t, size, dir), map[Part]stream{{"edge", 0}: st})
	}
}

func TestOnlyTheFieldsThatAreAskedForAreRead(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	events := simple(0, start, 100)
	for i := range events {
		events[i].Session, events[i].Fingerprint, events[i].X[1] = "s", "f", "pop"
		events[i].Refused, events[i].Unjudged, events[i].SoftFingerprint = event.Block, true, true
	}
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, events, nil))
	must(t, a.Finish(t.Context()))
	for _, tt := range []struct {
		reads  event.Field
		extras event.Extras
		want   func(e *event.Event) event.Event
	}{
		{reads: event.FieldNet, want: func(e *event.Event) event.Event { return event.Event{IP: e.IP} }},
		{reads: event.FieldMethod, want: func(e *event.Event) event.Event { return event.Event{Method: e.Method} }},
		{reads: event.FieldActor, want: func(e *event.Event) event.Event {
			return event.Event{IP: e.IP, Session: "s", Fingerprint: "f", SoftFingerprint: true}
		}},
		{reads: event.FieldX0, extras: event.Extras{"pop"}, want: func(*event.Event) event.Event {
			return event.Event{X: [event.MaxExtras]string{"pop"}}
		}},
		{reads: event.FieldX0, extras: event.Extras{"unheard"}, want: func(*event.Event) event.Event { return event.Event{} }},
	} {
		sources, err := OpenFiles([]string{dir}, ReadConfig{Reads: func(f event.Field) bool { return f == tt.reads }, Extras: tt.extras})
		must(t, err)
		var b event.Batch
		_, err = sources[0].ReadEvents(t.Context(), 0, 100, &b, nil)
		must(t, err)
		for i := range events {
			want := tt.want(&events[i])
			want.Time, want.Offset, want.Bytes, want.Duration = events[i].Time, events[i].Offset, -1, -1
			want.Refused, want.Unjudged = event.Block, true // always needed
			if b.Events[i] != want {
				t.Fatalf("reading %v: %+v, must be %+v", tt.reads, b.Events[i], want)
			}
		}
		must(t, sources[0].Close())
	}
}

func TestAFileSaysWhatItsSourceIsLike(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "edge")
	cfg.Sources[0].Disorder, cfg.Sources[0].MaxLateness, cfg.Sources[0].Unjudged = 3*time.Second, 2*time.Hour, true
	a := opened(t, cfg, nil)
	must(t, a.Add(t.Context(), Part{"edge", 3}, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context()))
	sources, err := OpenFiles(parquets(t, dir), ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	if got := sources[0].Info(); got != cfg.Sources[0] || sources[0].Partitions() != 4 {
		t.Errorf("%+v with %d partitions, must be %+v with 4", got, sources[0].Partitions(), cfg.Sources[0])
	}
}

func TestAddWaitsWhileTheQueueIsFull(t *testing.T) {
	cfg := config(t.TempDir(), "edge")
	cfg.Queue = 1
	a := opened(t, cfg, nil)
	block := make(chan struct{})
	blocked := make(chan struct{})
	go a.do(context.Background(), func() error { close(blocked); <-block; return nil })
	<-blocked
	part := Part{"edge", 0}
	// The second comes first and does not count: it cannot be written yet.
	must(t, a.Add(t.Context(), part, 1, simple(100, start, 10), nil))
	must(t, a.Add(t.Context(), part, 0, simple(0, start, 10), nil))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := a.Add(ctx, part, 2, simple(200, start, 10), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a full queue: %v, must wait", err)
	}
	if m := a.Memory(); m < 2 || a.Stats().Queue < 2 || a.Stats().Held != 1 {
		t.Errorf("memory %d, %+v", m, a.Stats())
	}
	close(block)
	must(t, a.Add(t.Context(), part, 2, simple(200, start, 10), nil))
	must(t, a.Sync(t.Context(), map[Part]int64{part: 210}))
	if st := a.Stats(); st.Queue != 0 || st.Events != 30 {
		t.Errorf("%+v, the queue must be empty", st)
	}
}

func TestWhatCannotBeRightIsRefused(t *testing.T) {
	a := opened(t, config(t.TempDir(), "edge"), nil)
	part := Part{"edge", 0}
	for name, err := range map[string]error{
		"unknown source":    a.Add(t.Context(), Part{"other", 0}, 0, nil, nil),
		"negative number":   a.Add(t.Context(), Part{"edge", -1}, 0, nil, nil),
		"too large":         a.Add(t.Context(), Part{"edge", maxPartition + 1}, 0, nil, nil),
		"offsets that fall": a.Add(t.Context(), part, 0, append(simple(5, start, 1), simple(4, start, 1)...), nil),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	must(t, a.Add(t.Context(), part, 0, nil, nil))
	if err := a.Add(t.Context(), part, 0, nil, nil); err == nil {
		t.Error("the same batch twice: no error")
	}
	for seq := range maxWaiting {
		must(t, a.Add(t.Context(), part, uint64(seq)+2, nil, nil))
	}
	if err := a.Add(t.Context(), part, maxWaiting+2, nil, nil); err == nil {
		t.Error("too many batches wait for one: no error")
	}
}

func TestAnEventOfAnySizeFits(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	events := simple(0, start, 400)
	for i := range events {
		b := make([]byte, 64<<10)
		for j := range b {
			b[j] = byte(i + j*j)
		}
		events[i].Path = string(b)
	}
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, events, nil))
	must(t, a.Finish(t.Context()))
	same(t, readAll(t, 1000, dir), map[Part]stream{{"edge", 0}: {events: events}})
}

func TestManyEventsMakeSeveralRowGroups(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	want := make(map[Part]stream)
	for p, n := range []int{groupEvents + 5000, 9000} {
		part := Part{"edge", int32(p)}
		events := simple(0, start, n)
		for i := range events {
			e := &events[i]
			e.Time = start + int64(i)
			e.ID, e.Agent, e.Session = e.Path, "agent "+e.Path[len(e.Path)-1:], "first"
			if i > 6000 { // a column that begins with a dictionary and does not keep it
				e.Session = e.Path
			}
		}
		want[part] = stream{events: events}
		for i := 0; i < n; i += 1500 {
			must(t, a.Add(t.Context(), part, uint64(i/1500), events[i:min(n, i+1500)], nil))
		}
	}
	must(t, a.Finish(t.Context()))
	f, err := openFile(parquets(t, dir)[0])
	must(t, err)
	if got := f.about.RowGroups; len(got) != 3 || got[0] != 0 || got[1] != 0 || got[2] != 1 {
		t.Errorf("row groups of partitions %v, must be 0 0 1", got)
	}
	must(t, f.close())
	same(t, readAll(t, 3000, dir), want)
}

func TestAppendTimesMayBeMissing(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	part := Part{"edge", 0}
	var want stream
	for i, times := range [][]int64{nil, {start, start + 1}, nil, nil} { // the last two in files of their own
		events := simple(int64(i)*2, start+max(0, int64(i)-1)*25*hour, 2)
		must(t, a.Add(t.Context(), part, uint64(i), events, times))
		if times == nil {
			times = []int64{ingest.NoAppend, ingest.NoAppend}
		}
		want.events, want.appended = append(want.events, events...), append(want.appended, times...)
	}
	must(t, a.Finish(t.Context()))
	if n := len(parquets(t, dir)); n != 3 {
		t.Errorf("%d files, must be 3", n)
	}
	same(t, readAll(t, 100, dir), map[Part]stream{part: want})
}
