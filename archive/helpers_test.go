package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/event"
)

// start is when the events of tests begin.
var start = time.Date(2026, 3, 6, 4, 0, 0, 0, time.UTC).UnixNano()

const minute = int64(time.Minute)

func config(dir string, names ...string) Config {
	cfg := Config{Dir: dir, Extras: event.Extras{"tenant", "pop", "a", "b", "c", "d", "e", "f"}}
	for _, n := range names {
		cfg.Sources = append(cfg.Sources, SourceInfo{Name: n, Disorder: 2 * time.Second, MaxLateness: time.Hour})
	}
	return cfg
}

// opened opens an archive that has resumed.
func opened(t testing.TB, cfg Config, positions map[Part]int64) *Archive {
	t.Helper()
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, a.Resume(t.Context(), positions))
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// simple returns n events of a partition, a second apart.
func simple(offset, at int64, n int) []event.Event {
	all := make([]event.Event, n)
	for i := range all {
		e := &all[i]
		e.Reset()
		e.Offset, e.Time = offset+int64(i), at+int64(i)*int64(time.Second)
		e.IP = netip.AddrFrom4([4]byte{192, 0, 2, byte(e.Offset)})
		e.Method, e.Path, e.Status = "GET", fmt.Sprintf("/p/%d", e.Offset), 200
	}
	return all
}

// random returns an event in which each field may be anything.
func random(r *rand.Rand, offset, at int64) event.Event {
	var e event.Event
	e.Reset()
	e.Offset, e.Time = offset, at
	addr := func() (a netip.Addr) {
		switch r.IntN(4) {
		case 0:
			return netip.AddrFrom4([4]byte{198, 51, 100, byte(r.IntN(5))})
		case 1:
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(r.IntN(5))})
		case 2:
			return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: 2, 15: byte(r.IntN(5))})
		}
		return a
	}
	e.IP, e.Peer = addr(), addr()
	for c := colFirstField; c < len(columns); c++ {
		col := &columns[c]
		if r.IntN(3) == 0 {
			continue
		}
		switch col.kind {
		case textColumn:
			*col.text(&e) = []string{"a", "", "päth\x00\xff", fmt.Sprint(r.Uint64()), string(make([]byte, r.IntN(300)))}[r.IntN(5)]
		case nameColumn:
			col.store(&e, int64(r.IntN(len(col.names))))
		case flagColumn:
			col.store(&e, int64(r.IntN(2)))
		default:
			col.store(&e, []int64{0, 1, 1<<31 - 1, int64(r.IntN(1000))}[r.IntN(4)])
		}
	}
	e.Bytes = []int64{-1, 0, 1<<63 - 1, int64(r.IntN(1000))}[r.IntN(4)]
	e.ASN = []uint32{0, 1<<32 - 1, 64500}[r.IntN(3)]
	return e
}

// stream is what a partition should have in the archive.
type stream struct {
	events   []event.Event
	appended []int64
}

// readAll reads all of some files, by partition, in batches of at most max.
func readAll(t testing.TB, max int, paths ...string) map[Part]stream {
	t.Helper()
	sources, err := OpenFiles(paths, ReadConfig{Extras: config("").Extras})
	must(t, err)
	all := make(map[Part]stream)
	for _, s := range sources {
		for p := range s.Partitions() {
			var st stream
			for {
				var b event.Batch
				b.Events = append(b.Events, event.Event{ID: "before"})
				times, err := s.ReadEvents(context.Background(), p, max, &b, nil)
				if errors.Is(err, io.EOF) {
					break
				}
				must(t, err)
				if len(b.Events) == 1 || len(b.Events) > max+1 || b.Events[0].ID != "before" {
					t.Fatalf("%d events in a batch of at most %d", len(b.Events)-1, max)
				}
				st.events = append(st.events, b.Events[1:]...)
				st.appended = append(st.appended, times...)
			}
			if len(st.events) > 0 {
				all[Part{s.Name(), int32(p)}] = st
			}
		}
		must(t, s.Close())
	}
	return all
}

// same fails unless both have the same events.
func same(t testing.TB, got, want map[Part]stream) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d partitions, must be %d", len(got), len(want))
	}
	for p, w := range want {
		g := got[p]
		if len(g.events) != len(w.events) {
			t.Errorf("%v: %d events, must be %d: offsets %v, must be %v", p, len(g.events), len(w.events), offsets(g.events), offsets(w.events))
			continue
		}
		for i := range w.events {
			if g.events[i] != w.events[i] {
				t.Fatalf("%v: event %d:\n%+v, must be\n%+v", p, i, g.events[i], w.events[i])
			}
		}
		if !slices.Equal(g.appended, w.appended) {
			t.Errorf("%v: append times %v, must be %v", p, head20(g.appended), head20(w.appended))
		}
	}
}

func head20(v []int64) []int64 { return v[:min(20, len(v))] }

func offsets(events []event.Event) (all []int64) {
	for i := range events {
		all = append(all, events[i].Offset)
	}
	return head20(all)
}

// parquets returns the finished files below a directory, in order.
func parquets(t testing.TB, dir string) []string {
	t.Helper()
	all, _, err := finishedFiles(dir)
	must(t, err)
	var paths []string
	for _, f := range all {
		paths = append(paths, f.path)
	}
	return paths
}

// copyDir copies what a kill would leave of a directory now.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	must(t, os.CopyFS(to, os.DirFS(from)))
}

func spoolsOf(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"+spoolSuffix))
	must(t, err)
	return found
}
