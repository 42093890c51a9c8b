package emit

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"weir/event"
)

func benchLedger(b *testing.B, path string) *Ledger {
	b.Helper()
	now := dawn
	l, err := OpenLedger(LedgerConfig{Path: path, Key: event.FixedKey(), Guards: &Guards{}, Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	return l
}

// tenThousand makes decisions on as many addresses; round makes them others.
func tenThousand(round int) []event.Decision {
	ds := make([]event.Decision, 10_000)
	for i := range ds {
		ds[i] = ruled("r", dawn, "ip", fmt.Sprintf("198.%d.%d.%d", 51+round%100, i/250, i%250))
		ds[i].ID = fmt.Sprintf("%d %d", round, i)
	}
	return ds
}

// One synced batch of 10,000 decisions.
func BenchmarkAddTenThousand(b *testing.B) {
	l := benchLedger(b, filepath.Join(b.TempDir(), LedgerName))
	round := 0
	for b.Loop() {
		b.StopTimer()
		ds := tenThousand(round)
		round++
		b.StartTimer()
		if err := l.Add(ds); err != nil {
			b.Fatal(err)
		}
	}
}

// InForce with 100,000 entries: free, while nothing changes.
func BenchmarkInForce(b *testing.B) {
	l := benchLedger(b, "")
	for round := range 10 {
		if err := l.Add(tenThousand(round)); err != nil {
			b.Fatal(err)
		}
	}
	if n := len(l.InForce().Entries); n != 100_000 {
		b.Fatal(n)
	}
	for b.Loop() {
		if err := l.Advance(); err != nil {
			b.Fatal(err)
		}
		l.InForce()
	}
}

// One more among 100,000 entries: what is published is built anew.
func BenchmarkAddOneToAHundredThousand(b *testing.B) {
	l := benchLedger(b, "")
	for round := range 10 {
		if err := l.Add(tenThousand(round)); err != nil {
			b.Fatal(err)
		}
	}
	i := 0
	for b.Loop() {
		d := ruled("r", dawn, "ip", "203.0.113.1", "x", fmt.Sprint(i))
		i++
		if err := l.Add([]event.Decision{d}); err != nil {
			b.Fatal(err)
		}
	}
}

// Covering looks through 200,000 lines; a million take five times as long.
func BenchmarkCovering(b *testing.B) {
	l := benchLedger(b, filepath.Join(b.TempDir(), LedgerName))
	for round := range 20 {
		if err := l.Add(tenThousand(round)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if got := l.Covering(Question{Target: targetOf("ip", "198.51.3.7")}); len(got) != 1 {
			b.Fatal(len(got))
		}
	}
}

// A review with 100,000 entries in force, of which nothing changed.
func BenchmarkReview(b *testing.B) {
	l := benchLedger(b, "")
	for round := range 10 {
		if err := l.Add(tenThousand(round)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Review(dawn, accounts(1e6)); err != nil {
			b.Fatal(err)
		}
	}
}
